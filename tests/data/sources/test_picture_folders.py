import pickle

import cv2
import numpy as np
import pytest
import torch

from flowchroma.data import ClipDataModule, Images
from flowchroma.data.clips import ClipKey, FilmGroup, Recipe, TrainingClips
from flowchroma.errors import UserError
from flowchroma.ops import backward_warp


def write(path, seed, size=(60, 80), gray=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 1 if gray else 3)).astype(np.uint8)
    fine = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).reshape(*size, -1)
    cv2.imwrite(str(path), np.broadcast_to(fine, (*size, 3)))


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate(("cat/a.jpg", "cat/b.png", "cat/c.jpg", "dog/d.jpg", "dog/e.jpg", "one/f.jpg")):
        write(tmp_path / name, seed)
    (tmp_path / "cat" / "notes.txt").touch()
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def films(root, split="train", **options):
    return {film.name: film for film in Images(root, size=(40, 48), **options).films(split)}


def test_every_picture_is_a_film_in_one_split(root):
    train, val = films(root), films(root, "val", val_fraction=0.3)
    held = films(root, val_fraction=0.3)
    assert len(held) + len(val) == 6
    assert not set(held) & set(val)
    assert len(train) == 5  # one is held out at least


def test_sub_folders_are_honoured(tmp_path):
    for seed, name in enumerate(("train/n01/a.jpg", "train/n02/b.jpg", "val/n01/c.jpg")):
        write(tmp_path / name, seed)
    assert set(films(tmp_path)) == {"train/n01/a.jpg", "train/n02/b.jpg"}
    assert set(films(tmp_path, "val")) == {"val/n01/c.jpg"}


def test_the_flow_is_exact(root):
    film = films(root)["cat/a.jpg"] if "cat/a.jpg" in films(root) else next(iter(films(root).values()))
    frames = torch.from_numpy(np.stack(film.read(range(5)))).permute(0, 3, 1, 2).float()
    flow, visible = film.read_flow(range(1, 5))
    assert flow.shape == (4, 2, 56, 68)
    assert visible.float().mean() > 0.8
    error = ((backward_warp(frames[:-1], flow) - frames[1:]).abs() * visible).mean()
    still = ((frames[:-1] - frames[1:]).abs() * visible).mean()
    assert error < 2
    assert error < 0.5 * still or still < 1


def test_a_film_is_a_function_of_its_name_and_picture(root):
    one, two = films(root), films(root)
    for name, film in one.items():
        assert np.array_equal(film.read([7])[0], two[name].read([7])[0])
        assert np.array_equal(pickle.loads(pickle.dumps(film)).read([7])[0], film.read([7])[0])
    a, b = list(one.values())[:2]
    assert a != b


def test_others_are_of_the_same_folder_and_never_itself(root):
    found = films(root, val_fraction=0)
    rng = np.random.default_rng(0)
    for name, film in found.items():
        others = {film.draw_sibling(rng) for _ in range(30)}
        beside = {other for other in found.values() if other.path.parent == film.path.parent and other.name != name}
        assert others == (beside or {None})


def test_training_clips_of_pictures(root):
    recipe = Recipe(3, (40, 48), reference={"other": 1.0})
    found = list(films(root).values())
    clips = TrainingClips([FilmGroup(found, len(found))], recipe, "the test")
    own = {}
    for index in range(len(found)):
        clip = clips[ClipKey(index, 0)]
        assert clip.has_flow
        assert clip.rgb.shape == (3, 3, 40, 48)
        own[clip.names[0].split("/")[0]] = bool(clip.own_colours)
        assert torch.equal(clip.rgb, clips[ClipKey(index, 0)].rgb)
    sizes = {folder: sum(film.name.startswith(folder) for film in found) for folder in own}
    assert own == {folder: count == 1 for folder, count in sizes.items()}  # alone, it gets a view of its own


def test_gray_and_broken_pictures_are_replaced_and_named(root):
    for path in list(root.rglob("*.jpg"))[1:]:
        path.unlink()
    write(root / "cat" / "g.jpg", 9, gray=True)
    (root / "cat" / "x.jpg").write_bytes(b"\xff\xd8 no picture")
    (root / "val").mkdir()
    write(root / "val" / "v.jpg", 11)
    module = ClipDataModule(
        {"images": Images(root, size=(16, 16))}, clip_length=3, val_length=3, size=(16, 16), batch_size=1, num_workers=0
    )
    for _ in range(3):
        for batch in module.train_dataloader():
            module.on_after_batch_transfer(batch, 0)
    assert set(module.skipped) == {"cat/g.jpg", "cat/x.jpg"}
    assert len(list(module.val_dataloader())) == 13  # windows of three of forty frames


def test_nothing_to_find_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no picture lies under"):
        films(tmp_path)
    with pytest.raises(UserError, match=r"data\.root is not set"):
        films(None)
    write(tmp_path / "a.jpg", 0)
    with pytest.raises(UserError, match="none is for val"):
        films(tmp_path, "val")

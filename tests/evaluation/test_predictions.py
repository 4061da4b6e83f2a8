import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from flowchroma.errors import UserError
from flowchroma.evaluation import Predictions, Protocol, find_clip
from flowchroma.film import open_film, open_writer


@pytest.fixture
def original(tmp_path, write_clip):
    return open_film(write_clip(tmp_path / "truth" / "clip"))


def frames_of(predictions, original, protocol):
    painted, given = [], protocol.given(original)
    for index, rgb in enumerate(protocol.originals(original, torch.device("cpu"))):
        if index in given:
            predictions.observe(rgb)
        else:
            painted.append(predictions.paint(rgb)[0].permute(1, 2, 0).numpy())
    return painted


def check(folder, original, protocol=None):
    protocol = protocol or Protocol()
    return frames_of(Predictions(folder, original, protocol), original, protocol)


@pytest.mark.parametrize("name", ["{:05d}.png", "out_{}.png"])
@pytest.mark.parametrize("without", [(), (0,)])
@pytest.mark.parametrize("reference", ["first", 3])
def test_frames_stand_for_the_originals_of_their_number(tmp_path, write_clip, original, name, without, reference):
    protocol = Protocol(reference=reference)
    if without:
        without = tuple(protocol.given(original))
    write_clip(tmp_path / "made" / "clip", change=lambda i, rgb: rgb // 2 + i, leave_out=without, name=name)
    painted = check(tmp_path / "made", original, protocol)
    wanted = [rgb // 2 + i for i, rgb in enumerate(original) if i not in protocol.given(original)]
    assert all(np.array_equal(a, b) for a, b in zip(painted, wanted, strict=True))


def test_a_film_is_read_frame_by_frame(tmp_path, original):
    with open_writer(tmp_path / "made" / "clip.mp4", fps=10, crf=0) as writer:
        for rgb in original:
            writer.write(rgb)
    painted = check(tmp_path / "made", original)
    assert len(painted) == 5
    # 4:2:0 blurs this texture's colours; each frame is still nearest to its own original.
    truth = [rgb.astype(int) for rgb in original][1:]
    nearest = [int(np.argmin([np.abs(rgb - other).mean() for other in truth])) for rgb in painted]
    assert nearest == [0, 1, 2, 3, 4]


def test_a_set_of_one_clip_may_be_the_folder_itself(tmp_path, write_clip, original):
    folder = write_clip(tmp_path / "other name")
    assert Predictions(folder, original, Protocol(), alone=True).path == folder
    with pytest.raises(UserError, match="has nothing for the clip"):
        Predictions(folder, original, Protocol())


HOSTILE = {
    "missing": ({"leave_out": (3,)}, "lacks the frame 00003"),
    "other size": ({"size": (48, 60)}, "60 x 48, and 64 x 48"),
    "too many": ({"frames": 8}, "00006, which the original has not"),
    "too few": ({"frames": 4, "name": "x{}.png"}, "has 4 frames"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_does_not_fit_is_named_before_anything_is_scored(tmp_path, write_clip, original, case):
    how, told = HOSTILE[case]
    write_clip(tmp_path / "made" / "clip", **how)
    with pytest.raises(UserError, match=told):
        Predictions(tmp_path / "made", original, Protocol())


def test_numbers_tell_the_scored_frames_from_all_but_one(tmp_path, write_clip, original):
    for without in (3, 5):  # a gap, and the last one
        folder = write_clip(tmp_path / f"made{without}" / "clip", leave_out=(without,), name="out_{}.png")
        with pytest.raises(UserError, match="5 frames, as many as are scored, but out_0 to"):
            Predictions(folder.parent, original, Protocol())


def test_frames_counted_from_one_are_not_taken_for_those_counted_from_zero(tmp_path, write_clip, original):
    folder = write_clip(tmp_path / "made" / "clip", frames=5, leave_out=(0,))
    assert len(check(folder.parent, original, Protocol(frames=5))) == 4
    shutil.copy(folder / "00004.png", folder / "00005.png")
    with pytest.raises(UserError, match="00001 to 00005, one frame too late: the original begins at 00000"):
        Predictions(folder.parent, original, Protocol(frames=5))


def test_what_is_there_twice_is_named(tmp_path, write_clip, original):
    folder = write_clip(tmp_path / "made" / "clip")
    Image.open(folder / "00003.png").save(folder / "00003.jpg")
    with pytest.raises(UserError, match="has the frame 00003 twice"):
        Predictions(tmp_path / "made", original, Protocol())
    (tmp_path / "made" / "clip.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r"has the clip clip twice, as clip\.mp4 and clip"):
        Predictions(tmp_path / "made", original, Protocol())


def test_a_note_beside_a_film_is_not_the_film(tmp_path):
    for name in ("clip.json", "clip.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert find_clip(tmp_path, "clip", alone=False) == tmp_path / "clip.mp4"


def test_an_unreadable_frame_is_named(tmp_path, write_clip, original):
    folder = write_clip(tmp_path / "made" / "clip")
    (folder / "00004.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(UserError, match=r"00004\.png"):
        check(tmp_path / "made", original)


def test_gray_frames_are_scored_and_told(tmp_path, write_clip, original):
    def fade(i, rgb):
        return np.repeat(rgb.mean(2, keepdims=True).astype(np.uint8), 3, 2) if i > 3 else rgb

    write_clip(tmp_path / "made" / "clip", change=fade)
    predictions = Predictions(tmp_path / "made", original, Protocol())
    frames_of(predictions, original, Protocol())
    (line,) = predictions.notices()
    assert "2 of its frames are gray (4, 5)" in line


def test_no_folder_is_told(tmp_path, original):
    with pytest.raises(UserError, match="is not a folder"):
        Predictions(tmp_path / "nowhere", original, Protocol())

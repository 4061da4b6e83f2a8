import logging

import pytest
import torch

from flowchroma.color import rgb_to_lab
from flowchroma.data import Augmentation, ClipDataModule, Films, FrameFolders, Sample
from flowchroma.data.clips import RawClip, plan_windows, to_clip
from flowchroma.data.clips.augmentation import apply_variation
from flowchroma.errors import UserError
from flowchroma.types import Clip

SMALL = {"size": (16, 16), "batch_size": 2, "num_workers": 0, "val_length": 3, "clip_length": 3}


class Fakes:
    """A source of given films, all for training and for validation."""

    where = "the fakes"

    def __init__(self, films, weight=1.0, clips_per_film=4):
        self.of_split, self.weight, self.clips_per_film = films, weight, clips_per_film

    def films(self, split):
        return self.of_split

    def epoch_length(self, films):
        return films * self.clips_per_film


def sample(**changes):
    return Sample((16, 16), **{"clips_per_epoch": 6, "val_films": 3, "frames": 7, **changes})


def corrupt(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_batches_become_clips():
    module = ClipDataModule({"sample": sample()}, **SMALL)
    raw = next(iter(module.train_dataloader()))
    assert isinstance(raw, RawClip)
    clip = module.on_after_batch_transfer(raw, 0)
    assert isinstance(clip, Clip)
    assert clip.lab.shape == (2, 3, 3, 16, 16)
    assert clip.references.shape == (2, 1, 3, 16, 16)
    assert clip.flow.shape == (2, 2, 2, 16, 16)
    assert clip.visible.dtype == torch.float32
    assert set(clip.visible.unique().tolist()) <= {0.0, 1.0}
    assert clip.has_flow.tolist() == [True, True]
    frames = apply_variation(torch.cat((raw.rgb, raw.references), dim=1), raw.variation)
    torch.testing.assert_close(clip.lab, rgb_to_lab(frames[:, :3]))
    assert len(clip.names) == 2
    assert module.on_after_batch_transfer(clip, 0) is clip


def everything(module, epoch=1):
    loader = module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [*loader, *module.val_dataloader()]


def test_workers_change_nothing(davis):
    root = davis()
    sources = {"davis": FrameFolders(root, clips_per_film=3), "sample": sample()}
    alone, helped = (everything(ClipDataModule(sources, **{**SMALL, "num_workers": n})) for n in (0, 2))
    assert len(alone) == len(helped) > 4
    for one, other in zip(alone, helped, strict=True):
        assert one.names == other.names
        one, other = to_clip(one), to_clip(other)
        for name in ("lab", "references", "flow", "visible", "has_flow", "starts_coloured"):
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_epochs_and_seeds_differ():
    first = everything(ClipDataModule({"s": sample()}, **SMALL), epoch=0)
    for changed in (
        everything(ClipDataModule({"s": sample()}, **SMALL), epoch=1),
        everything(ClipDataModule({"s": sample()}, **SMALL, seed=5), epoch=0),
    ):
        assert not torch.equal(changed[0].rgb, first[0].rgb)
        assert torch.equal(changed[-1].rgb, first[-1].rgb)


def test_corrupt_frames_are_skipped_warned_of_once_and_counted(davis, caplog):
    root = davis(frames=5)
    for path in (root / "JPEGImages/480p/a").iterdir():
        corrupt(path)
    module = ClipDataModule({"davis": FrameFolders(root)}, **SMALL)
    with caplog.at_level(logging.WARNING):
        batches = [module.on_after_batch_transfer(batch, 0) for batch in module.train_dataloader()]
    assert {name.split()[0] for batch in batches for name in batch.names} == {"b"}
    assert sum(len(batch.names) for batch in batches) == 8
    warnings = [record.getMessage() for record in caplog.records if "skipping" in record.getMessage()]
    assert len(warnings) == 1
    assert "skipping a: " in warnings[0]
    assert ".jpg is cut off" in warnings[0]
    assert set(module.skipped) == {"a"}
    assert module.skipped["a"] >= 4


def test_corrupt_film_is_skipped(tmp_path, write_frames):
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    for name in ("one", "two", "three"):
        write_frames(tmp_path / name, 5)
    (tmp_path / "val.txt").write_text("three")
    module = ClipDataModule({"v": Films(tmp_path, val_list="val.txt")}, **SMALL)
    for batch in module.train_dataloader():
        module.on_after_batch_transfer(batch, 0)
    assert set(module.skipped) == {"bad"}


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_usable_is_one_clear_line(davis, workers):
    root = davis(frames=2)
    for split in ("train", "val"):
        (root / f"ImageSets/2017/{split}.txt").write_text({"train": "a\nb", "val": "c"}[split])
    module = ClipDataModule({"davis": FrameFolders(root)}, **{**SMALL, "num_workers": workers, "val_length": 2})
    with pytest.raises(UserError) as caught:
        next(iter(module.train_dataloader()))
    message = str(caught.value)
    assert "training clip of 3 frames" in message
    assert str(root) in message
    assert "it has 2 frames" in message
    assert "\n" not in message


def test_no_validation_film_long_enough(davis, caplog):
    module = ClipDataModule({"davis": FrameFolders(davis(frames=5))}, **{**SMALL, "val_length": 9})
    with pytest.raises(UserError, match=r"none of the 1 validation films in .* has 9 frames: set data.val"):
        module.setup("fit")
    assert module.skipped == {"c": 1}


def test_sources_mix_by_weight(fake_film):
    a, b = Fakes([fake_film("a")], weight=3.0, clips_per_film=30), Fakes([fake_film("b")], clips_per_film=10)
    module = ClipDataModule({"a": a, "b": b}, **SMALL)
    names = [name[0] for batch in module.train_dataloader() for name in batch.names]
    assert (names.count("a"), names.count("b")) == (30, 10)
    validated = [name[0] for batch in module.val_dataloader() for name in batch.names]
    assert validated[:4] == ["a", "b", "a", "b"]


def test_val_clips_limits_and_spreads(fake_film):
    films = [fake_film("a", 7), fake_film("b", 12), fake_film("c", 2)]
    skipped = []
    windows = list(plan_windows([films], 3, lambda name, error: skipped.append(name)))
    places = [(window.film.name, window.start) for window in windows]
    assert places == [("a", 0), ("b", 0), ("a", 3), ("b", 3), ("b", 6), ("b", 9)]
    assert skipped == ["c"]
    module = ClipDataModule({"f": Fakes(films)}, **SMALL, val_clips=3)
    assert len(module.val_dataloader().dataset) == 3


def test_root_is_handed_to_sources(davis, tmp_path):
    module = ClipDataModule({"davis": FrameFolders}, root=davis(), **SMALL)
    assert len(module.train_dataloader().dataset) == 8
    with pytest.raises(UserError, match=r"data.root is not set: give the folder that holds JPEGImages"):
        ClipDataModule({"davis": FrameFolders}, **SMALL).setup()


def test_sources_without_their_root_are_left_out_of_a_mix(davis):
    sources = {"davis": FrameFolders, "videvo": Films, "sample": sample()}
    roots = {"davis": None, "videvo": None}
    assert len(ClipDataModule(sources, root=roots, **SMALL).train_dataloader().dataset) == 6
    roots = {"davis": davis(), "videvo": None}
    assert len(ClipDataModule(sources, root=roots, **SMALL).train_dataloader().dataset) == 14
    with pytest.raises(UserError, match=r"set data.root.davis"):
        ClipDataModule({"davis": FrameFolders}, root={"davis": None}, **SMALL).setup()


def test_settings_reach_the_clips(fake_film):
    still = Augmentation((1.0, 1.0), 0, 0, 0, 0, 0, 0, 0)
    module = ClipDataModule(
        {"f": Fakes([fake_film()])}, **SMALL, stride=(4, 4), reference={"far": 1.0}, augmentation=still
    )
    raw = next(iter(module.train_dataloader()))
    levels = raw.rgb.float().mean((2, 3, 4))
    torch.testing.assert_close(levels.diff(dim=1), torch.full((2, 2), 40.0))
    assert not raw.starts_coloured.any()


def test_trains_under_a_trainer():
    from lightning.pytorch import LightningModule, Trainer

    class Watcher(LightningModule):
        seen: tuple = ()

        def training_step(self, batch, index):
            assert isinstance(batch, Clip)
            self.seen += batch.names
            return self.scale * batch.ab.mean()

        def validation_step(self, batch, index):
            assert isinstance(batch, Clip)

        def configure_optimizers(self):
            return torch.optim.SGD([self.scale], 0.1)

    watcher = Watcher()
    watcher.scale = torch.nn.Parameter(torch.ones(()))
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(max_epochs=2, accelerator="cpu", use_distributed_sampler=False, **quiet)
    trainer.fit(watcher, datamodule=ClipDataModule({"s": sample()}, **SMALL))
    assert len(watcher.seen) == 12
    assert len(set(watcher.seen)) > 6

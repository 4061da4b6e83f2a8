import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from flowchroma.data import RolloutAugmentation, RolloutDataModule
from flowchroma.data.rollouts.frames import SignalFrames, TwoSidedFrames
from flowchroma.data.rollouts.span_file import find_spans, write_span
from flowchroma.errors import UserError
from flowchroma.weights.files import Fingerprint

SMALL = {"size": (16, 24), "batch_size": 2, "num_workers": 0}
STILL = RolloutAugmentation(flip=0, swap=0, turn=0, scale=(1, 1))


def everything(module: RolloutDataModule, epoch: int = 0) -> list[TwoSidedFrames]:
    loader = module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [*loader, *module.val_dataloader()]


def same(one: TwoSidedFrames, other: TwoSidedFrames) -> bool:
    tensors = (torch.equal(getattr(one, name), getattr(other, name)) for name in one.tensors())
    return all(tensors) and [*one.names] == [*other.names]


def test_a_span_is_read_as_it_was_written_but_for_half_precision(write_rollouts) -> None:
    (span,) = find_spans(write_rollouts(Fingerprint("these", "those"), films=["a"]))
    assert (span.film, span.frames, span.size, len(span)) == ("a", range(12, 22, 2), (48, 64), 5)
    assert (span.made_by, span.trains) == (Fingerprint("these", "those"), "bidirectional")
    whole, part = span.read(3), span.read(3, (slice(8, 40), slice(5, 64)))
    assert whole.names == ("a 18",)
    assert whole.position.item() == pytest.approx(4 / 6, abs=1e-3)
    assert whole.lab.shape == (1, 3, 48, 64)
    torch.testing.assert_close(part.backward_ab, whole.backward_ab[..., 8:40, 5:64])
    off = torch.linalg.vector_norm(whole.forward_ab - whole.true_ab, dim=1)
    assert off.square().mean().sqrt() == pytest.approx(2, rel=0.05)


def test_an_epoch_has_every_frame_of_the_training_films_once(write_rollouts) -> None:
    module = RolloutDataModule(write_rollouts(), **SMALL, val_fraction=0.3)
    train = [name for batch in module.train_dataloader() for name in batch.names]
    val = [name for batch in module.val_dataloader() for name in batch.names]
    assert len(set(train)) == len(train) == 20 - len(val)
    assert not {name.split()[0] for name in train} & {name.split()[0] for name in val}
    assert val
    assert len(RolloutDataModule(module.root, **SMALL, val_frames=2).val_dataloader()) == 2


def test_workers_change_nothing_and_epochs_and_seeds_do(write_rollouts) -> None:
    root = write_rollouts()
    alone, helped = (everything(RolloutDataModule(root, **{**SMALL, "num_workers": n})) for n in (0, 2))
    assert all(map(same, alone, helped))
    assert alone[0].luma.shape == (2, 1, 16, 24)
    for other in (
        everything(RolloutDataModule(root, **SMALL), epoch=1),
        everything(RolloutDataModule(root, **SMALL, seed=5)),
    ):
        assert not same(other[0], alone[0])
        assert same(other[-1], alone[-1])


def test_the_first_frames_are_skipped_once(write_rollouts) -> None:
    root = write_rollouts()
    whole = everything(RolloutDataModule(root, **SMALL))
    module = RolloutDataModule(root, **SMALL)
    module.skip_clips(4)
    assert all(map(same, everything(module), whole[2:]))
    assert all(map(same, everything(module), whole))


def test_what_varies_is_colour_and_direction_and_nothing_else(write_rollouts) -> None:
    frame = find_spans(write_rollouts(films=["a"]))[0].read(1)
    assert same(STILL.vary(frame, np.random.default_rng(0)), frame)
    swapped = RolloutAugmentation(flip=1, swap=1, turn=0, scale=(1, 1)).vary(frame, np.random.default_rng(0))
    torch.testing.assert_close(swapped.forward_ab.flip(-1), frame.backward_ab)
    torch.testing.assert_close(swapped.forward_error.flip(-1), frame.backward_error)
    torch.testing.assert_close(swapped.position, 1 - frame.position)
    turned = RolloutAugmentation(flip=0, swap=0, scale=(2, 2)).vary(frame, np.random.default_rng(0))
    torch.testing.assert_close(turned.luma, frame.luma)
    torch.testing.assert_close(turned.forward_error, frame.forward_error)
    for one, other in (("true_ab", "forward_ab"), ("match_ab", "backward_ab")):  # all by one turn and one factor
        before, after = (getattr(f, one) - getattr(f, other) for f in (frame, turned))
        torch.testing.assert_close(after.norm(dim=1), 2 * before.norm(dim=1))
    complex_ab = [torch.complex(f.true_ab[:, 0], f.true_ab[:, 1]) for f in (frame, turned)]
    angle = (complex_ab[1] / complex_ab[0]).angle()
    assert (angle - angle.flatten()[0]).abs().max() < 1e-3 or angle.abs().max() > math.pi - 0.1


@pytest.mark.parametrize(
    ("films", "held_out"),
    [
        (["made/train/0", "made/val/1", "made/train/2"], ["made/val/1"]),
        (["made/train/0", "made/val/1", "a"], ["made/val/1"]),
        (["made/train/0", "made/val/1", "train/a", "val/b"], ["made/val/1", "val/b"]),
        (["made/train/0", "made/train/2", "train/a", "val/b"], ["val/b"]),
        (["made/train/0", "val/b"], ["val/b"]),
    ],
)
def test_made_films_tell_their_split(write_rollouts, films: list[str], held_out: list[str]) -> None:
    module = RolloutDataModule(write_rollouts(films=films), **SMALL)
    shown = {
        split: {name.rsplit(" ", 1)[0] for batch in loader for name in batch.names}
        for split, loader in (
            ("train", module.train_dataloader()),
            ("val", module.val_dataloader()),
        )
    }
    assert shown == {"train": set(films) - set(held_out), "val": set(held_out)}


def test_what_cannot_be_used_is_said_in_one_line(write_rollouts, tmp_path) -> None:
    def said(**options) -> str:
        with pytest.raises(UserError) as refusal:
            everything(RolloutDataModule(**{**SMALL, **options}))
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    assert "data.root is not set" in said()
    assert "is not a folder" in said(root=tmp_path / "nothing")
    assert "holds no rollouts" in said(root=tmp_path)
    root = write_rollouts(films=["a"])
    assert "of 1 film" in said(root=root)
    write_rollouts(films=["b", "c"])
    assert "larger than rollouts" in said(root=root, size=(64, 64))
    write_rollouts(Fingerprint("these", "those"), films=["d"])
    assert "different networks" in said(root=root)
    (root / "d_0.safetensors").write_bytes(b"\0" * 100)
    assert "d_0.safetensors is no whole file" in said(root=root)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_later_is_one_line_too(write_rollouts, workers: int) -> None:
    module = RolloutDataModule(write_rollouts(), **{**SMALL, "num_workers": workers})
    module.setup()
    for path in module.root.iterdir():
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match="no whole file"):
        everything(module)


def test_signals_of_one_direction_are_kept_and_varied_as_whole_frames(tmp_path) -> None:
    torch.manual_seed(0)
    channels = {name: 2 if name.endswith("_ab") else 1 for name in SignalFrames.tensors()}
    frames = SignalFrames(**{name: torch.rand(3, count, 8, 12) for name, count in channels.items()})
    write_span(tmp_path / "a_0.safetensors", frames, "a", range(1, 7, 2), Fingerprint("these", "those"), "so")
    (span,) = find_spans(tmp_path)
    assert (span.trains, span.drawn, span.frames) == ("fusion", "so", range(1, 7, 2))
    kept = span.read(2)
    assert kept.names == ("a 5",)
    for name in channels:
        torch.testing.assert_close(getattr(kept, name), getattr(frames, name)[2:], atol=1e-3, rtol=0)
    mirrored = RolloutAugmentation(flip=1, swap=1, turn=0, scale=(1, 1)).vary(kept, np.random.default_rng(0))
    turned = RolloutAugmentation(flip=0, swap=0, turn=0, scale=(2, 2)).vary(kept, np.random.default_rng(0))
    for name, count in channels.items():
        torch.testing.assert_close(getattr(mirrored, name).flip(-1), getattr(kept, name))
        torch.testing.assert_close(getattr(turned, name), getattr(kept, name) * (2 if count == 2 else 1))


def test_a_file_of_another_version_is_refused(write_rollouts) -> None:
    root = write_rollouts(films=["a", "b"])
    tensors, path = load_file(root / "a_0.safetensors"), root / "a_0.safetensors"
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    del tensors["position"]
    save_file(tensors, path, metadata=about)
    with pytest.raises(UserError, match=r"a_0\.safetensors is of another version, without position"):
        find_spans(root)

import multiprocessing
import pickle

import numpy as np
import pytest
import torch

from flowchroma.data import ClipDataModule, Sample, module
from flowchroma.data.clips.buffers import ClipLayout, SharedBuffers
from flowchroma.errors import UserError

CLIPS = 24


def loader_of(workers, source=None):
    sources = {"s": source or Sample((16, 16), clips_per_epoch=CLIPS, val_films=1, frames=5)}
    data = ClipDataModule(
        sources, size=(16, 16), batch_size=2, num_workers=workers, val_length=3, clip_length=3, references=2
    )
    return data.train_dataloader()


@pytest.fixture(scope="module")
def alone():
    """The batches of an epoch as this process makes them."""
    return list(loader_of(0))


def assert_equal(batches, others):
    for batch, other in zip(batches, others, strict=True):
        assert batch.names == other.names
        for name in ("rgb", "references", "flow", "visible"):
            assert torch.equal(getattr(batch, name), getattr(other, name))


def taken(loader):
    return int(loader.dataset.buffers._taken.sum())


@pytest.mark.parametrize("pieces", [1, 6])
def test_batches_are_right_however_long_they_are_kept(alone, monkeypatch, pieces):
    """With one piece a worker, most of them find none free."""
    monkeypatch.setattr(module, "_BUFFERS", pieces)
    loader = loader_of(2)
    kept = list(loader)
    assert_equal(kept, alone)
    assert taken(loader) == min(2 * pieces, len(kept))
    del kept
    assert taken(loader) == 0


def test_a_process_forked_meanwhile_gives_nothing_back():
    buffers = SharedBuffers(1, 8)
    buffers._taken[0] = 1
    held = [buffers.readable(0)]
    child = multiprocessing.get_context("fork").Process(target=held.clear)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert buffers._taken[0] == 1
    held.clear()
    assert buffers._taken[0] == 0


def test_without_memory_to_reserve_batches_come_another_way(alone, monkeypatch):
    monkeypatch.setattr(module, "_BUFFERS", 2**52)
    loader = loader_of(1)
    assert loader.dataset.buffers is None
    assert_equal(list(loader), alone)


def test_memory_is_used_again_once_the_last_view_of_it_is_gone(alone):
    loader = loader_of(1)
    batches = iter(loader)
    corner = next(batches).references[1, :, :, 4:, 4:]  # the batch itself is let go
    places = {batch.rgb.data_ptr() for batch in batches}
    assert len(places) <= 5  # of 11 batches
    assert torch.equal(corner, alone[0].references[1, :, :, 4:, 4:])
    assert taken(loader) == 1
    del corner
    assert taken(loader) == 0


def test_an_epoch_that_is_left_leaves_no_memory_taken(alone):
    loader = loader_of(2)
    next(iter(loader))
    assert_equal(list(loader), alone)
    assert taken(loader) == 0


def test_a_batch_that_cannot_be_made_leaves_no_memory_taken(fake_film):
    class Short:
        weight, where = 1.0, "the test"

        def films(self, split):
            return [fake_film(split, frames=2 if split == "train" else 9)]

        def epoch_length(self, films):
            return 4

    loader = loader_of(1, Short())
    with pytest.raises(UserError, match="it has 2 frames"):
        next(iter(loader))
    assert taken(loader) == 0


def test_a_process_that_inherits_nothing_finds_no_piece_free(monkeypatch):
    copy = pickle.loads(pickle.dumps(SharedBuffers(4, 100)))
    worker = type("Worker", (), {"id": 0, "num_workers": 1})
    monkeypatch.setattr("flowchroma.data.clips.buffers.get_worker_info", lambda: worker)
    assert copy.acquire() is None


def test_frames_lie_where_networks_find_them():
    layout = ClipLayout(3, 2, (4, 5))
    memory = np.arange(layout.bytes_of(2) + 7, dtype=np.uint8)
    for array, tensor in zip(layout.arrays(memory, 2), layout.tensors(torch.from_numpy(memory), 2), strict=True):
        np.testing.assert_array_equal(array, tensor.permute(0, 1, 3, 4, 2))
    shown, references = layout.tensors(torch.from_numpy(memory), 2)
    assert (shown.shape, references.shape) == ((2, 3, 3, 4, 5), (2, 2, 3, 4, 5))
    assert references.data_ptr() == shown.data_ptr() + shown.numel()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_started_in_another_way_hand_over_the_same(alone, method):
    loader = loader_of(2)
    loader.multiprocessing_context = multiprocessing.get_context(method)
    assert_equal(list(loader), alone)

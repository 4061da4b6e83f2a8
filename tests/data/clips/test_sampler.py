import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowchroma.data.clips.sampler import ClipSampler
from flowchroma.errors import UserError


def epoch(length, world, epoch=0, train=True, seed=0):
    samplers = [ClipSampler(length, seed, train, rank, world) for rank in range(world)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    keys = [list(sampler) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(of_rank) for of_rank in keys]
    return keys


@given(st.integers(8, 200), st.integers(1, 8), st.integers(0, 5))
def test_training_shares_clips_equally_without_overlap(length, world, number):
    keys = epoch(length, world, number)
    seen = [key.index for of_rank in keys for key in of_rank]
    assert len(seen) == len(set(seen))
    assert {len(of_rank) for of_rank in keys} == {length // world}
    assert set(seen) <= set(range(length))


@given(st.integers(0, 60), st.integers(1, 8))
def test_validation_sees_every_clip_once(length, world):
    keys = epoch(length, world, train=False)
    assert sorted(key.index for of_rank in keys for key in of_rank) == list(range(length))


def test_order_depends_on_seed_plus_epoch_alone():
    assert epoch(50, 1, 3) == epoch(50, 1, 3)
    assert epoch(50, 1, 3) == epoch(50, 1, 0, seed=3)
    assert epoch(50, 1, 3) != epoch(50, 1, 4)
    assert epoch(50, 1, 3, train=False) == epoch(50, 1, 4, train=False)


def test_dropped_tail_differs_by_epoch():
    seen = set()
    for number in range(20):
        seen |= {key.index for of_rank in epoch(11, 4, number) for key in of_rank}
    assert seen == set(range(11))


@given(st.integers(8, 60), st.integers(1, 4), st.integers(0, 8))
def test_what_was_seen_of_an_epoch_is_left_out_once(length, world, rounds):
    whole = epoch(length, world, 2)
    samplers = [ClipSampler(length, 0, True, rank, world) for rank in range(world)]
    done = min(rounds, length // world)
    for sampler in samplers:
        sampler.set_epoch(2)
        # Counted over all ranks; what other numbers of them have left over is seen again.
        sampler.skip(done * world + world // 2)
        assert len(sampler) == length // world
    assert [list(sampler) for sampler in samplers] == [keys[done:] for keys in whole]
    assert [list(sampler) for sampler in samplers] == whole


def test_fewer_clips_than_processes():
    with pytest.raises(UserError, match="3 clips"):
        ClipSampler(3, rank=0, world_size=4)

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from flowchroma.models.state import ReferenceMemory
from flowchroma.plans.choosing import choose, choose_stills
from flowchroma.plans.shots import Shot
from flowchroma.plans.still_errors import StillErrors
from flowchroma.plans.survey import Survey, survey


def looked_through(lengths, alike=0.35, every=4, moves=0.5, pairs=()) -> Survey:
    """A film of shots in which similarity falls evenly with the distance; `pairs` of shots show the same."""
    ends = np.cumsum([0, *lengths])
    shots = [Shot(int(a), int(b)) for a, b in pairwise(ends)]
    sampled = np.array([n for shot in shots for n in range(shot.start + 1, shot.stop, every)])
    shot_of = np.searchsorted(ends, sampled, side="right") - 1
    similarity = np.full((len(sampled),) * 2, alike, np.float32)
    for one, other in [*((n, n) for n in range(len(shots))), *pairs, *(pair[::-1] for pair in pairs)]:
        block = np.ix_(shot_of == one, shot_of == other)
        far = np.abs(sampled[:, None] - sampled)[block] if one == other else 30.0
        similarity[block] = 1 - 0.003 * far
    motion = np.cumsum(np.full(ends[-1], moves))
    every_one = np.ones(len(sampled), bool)
    return Survey(shots, sampled, similarity, motion, ~every_one, every_one)


def random_survey(seed: int) -> Survey:
    random = np.random.default_rng(seed)
    looked = looked_through(random.integers(3, 40, 5))
    noise = random.uniform(0.3, 1, looked.similarity.shape).astype(np.float32)
    motion = np.cumsum(random.uniform(0, 3, len(looked.motion)))
    return replace(looked, similarity=noise, motion=motion, usable=random.random(len(looked.sampled)) < 0.8)


def shots_of(looked: Survey, stills) -> list[int]:
    return [next(n for n, shot in enumerate(looked.shots) if shot.start <= still < shot.stop) for still in stills]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.data())
def test_one_more_still_makes_the_errors_that_all_together_make(seed: int, data) -> None:
    errors = StillErrors(random_survey(seed))
    places = st.integers(0, len(errors.weights) - 1)
    *stills, candidate = data.draw(st.lists(places, min_size=1, max_size=6, unique=True))
    grown = errors.with_one_more(errors.errors(stills), stills, candidate)
    assert np.allclose(grown, errors.errors([*stills, candidate]))


@settings(max_examples=20, deadline=None)
@example(522, 6)  # a sixth still would win nothing
@given(st.integers(0, 1000), st.integers(1, 8))
def test_stills_are_usable_frames_as_many_as_asked_and_each_wins(seed: int, count: int) -> None:
    looked = random_survey(seed)
    choice = choose(looked, count)
    assert len(choice.stills) <= min(count, looked.usable.sum())
    if len(choice.stills) < min(count, looked.usable.sum()):
        errors = StillErrors(looked)
        stills = np.searchsorted(looked.sampled, choice.stills).tolist()
        left = [c for c in errors.candidates.tolist() if c not in stills]
        assert min(errors.total(errors.errors([*stills, c])) for c in left) >= errors.total(errors.errors(stills))
    assert list(choice.stills) == sorted(set(choice.stills))
    assert set(choice.stills) <= set(looked.sampled[looked.usable].tolist())
    assert all(choice.after[still] == 0 for still in choice.stills)
    assert choice.error < choice.error_before
    assert choose(looked, count + 2).error <= choice.error + 1e-6 or len(choice.stills) < count + 2


def test_the_choice_is_no_worse_than_trying_every_candidate_at_each_step() -> None:
    for seed in range(10):
        looked = random_survey(seed)
        errors = StillErrors(looked)
        plain: list[int] = []
        for _ in range(4):
            left = {c: errors.total(errors.errors([*plain, c])) for c in errors.candidates.tolist() if c not in plain}
            plain.append(min(left, key=left.get))
        chosen = np.searchsorted(looked.sampled, choose(looked, 4).stills)
        assert errors.total(errors.errors(chosen)) <= 1.02 * errors.total(errors.errors(plain))


def test_the_first_stills_go_to_different_shots_and_one_serves_a_shot_that_returns() -> None:
    looked = looked_through([40, 30, 36], pairs=[(0, 2)])
    assert shots_of(looked, choose(looked, 1).stills) in ([0], [2])
    first, second = shots_of(looked, choose(looked, 2).stills)
    assert {first, second} in ({0, 1}, {1, 2})
    choice = choose(looked, 2)
    bare = 0 if 0 not in shots_of(looked, choice.stills) else 2
    assert choice.similar[bare][0] == next(s for s in choice.stills if shots_of(looked, [s]) == [2 - bare])


def test_stills_stand_clear_of_the_ends_of_a_long_shot_and_apart() -> None:
    looked = looked_through([200], moves=2)
    (middle,) = choose(looked, 1).stills
    assert 80 <= middle <= 120
    left, right = choose(looked, 2).stills
    assert 15 <= left <= 70
    assert 130 <= right <= 185


def test_where_more_moves_there_are_more_stills() -> None:
    looked = looked_through([100, 100])
    motion = np.cumsum(np.r_[np.full(100, 0.05), np.full(100, 6.0)])
    restless = replace(looked, similarity=np.where(looked.similarity > 0.35, 0.95, 0.35), motion=motion)
    placed = shots_of(restless, choose(restless, 6).stills)
    assert placed.count(1) > placed.count(0) > 0


def test_as_many_stills_as_an_error_asks_for() -> None:
    looked = looked_through([60, 60, 60], moves=2)
    few, many = choose(looked, error=8.0), choose(looked, error=2.0)
    assert few.error <= 8.1
    assert many.error <= 2.1
    assert len(few.stills) < len(many.stills)
    hopeless = choose(looked, error=0.001)
    assert len(hopeless.stills) == looked.usable.sum()


def test_by_default_every_shot_of_its_own_gets_a_still_and_a_still_shot_no_second() -> None:
    looked = looked_through([80, 80, 80, 80], moves=0.01, pairs=[(0, 3)])
    choice = choose(looked)
    assert len(choice.stills) == len(set(shots_of(looked, choice.stills)))
    assert {1, 2} < set(shots_of(looked, choice.stills))


def test_given_stills_stay_and_shots_with_their_own_colour_get_none() -> None:
    looked = looked_through([40, 60, 20])
    given = [int(looked.sampled[2])]
    choice = choose(looked, 3, given=given, kept=[False, True, False])
    assert set(given) < set(choice.stills)
    assert len(choice.stills) == 3
    assert 1 not in shots_of(looked, choice.stills)
    assert not choice.before[40:100].any()
    assert choice.before[given[0]] == 0
    assert choose(looked, 1, given=given).stills == tuple(given)


class Patches:
    """A matcher that compares patches of luminance."""

    def encode_references(self, references):
        luma = references[:, 0, :1]
        patches = F.unfold(luma - luma.mean(), 8, stride=8).transpose(1, 2)
        keys = F.normalize(patches - patches.mean(dim=2, keepdim=True), dim=2)
        return ReferenceMemory(keys, keys[..., :3], torch.zeros(keys.shape[1], dtype=torch.int64))


class Frames(list):
    name, path, files, size = "made", None, (), (96, 128)


def picture(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = torch.from_numpy(random.random((1, 1, 12, 24), dtype=np.float32))
    return (220 * F.interpolate(small, (96, 192), mode="bilinear")[0, 0]).numpy() + 20


def take(seed: int, frames: int) -> list[np.ndarray]:
    wide = picture(seed)
    return [np.repeat(wide[:, t : t + 128, None], 3, axis=2).astype(np.uint8) for t in range(frames)]


def test_a_film_is_looked_through_and_what_is_black_or_changes_is_no_still() -> None:
    one, other, black = take(0, 24), take(1, 24), [np.zeros((96, 128, 3), np.uint8)] * 8
    film = Frames([*one, *black, *other, *one[:12]])
    shots = [Shot(0, 24, tail=8), Shot(24, 32), Shot(32, 56, head=10), Shot(56, 68)]
    told: list[int] = []
    looked = survey(film, shots, Patches(), also=[3], progress=told.append)
    assert told == list(range(1, 69))
    assert 3 in looked.sampled
    assert all(np.any((looked.sampled >= shot.start) & (looked.sampled < shot.stop)) for shot in shots)
    assert all(24 <= n < 32 for n in looked.sampled[~looked.usable])
    assert np.array_equal(looked.blank, ~looked.usable)
    assert all(not (16 <= n < 24 or 32 <= n < 42) for n in looked.sampled[looked.usable])
    assert np.allclose(np.diag(looked.similarity)[looked.usable], 1, atol=1e-3)
    first, second, back = (looked.similarity[(looked.sampled >= a) & (looked.sampled < b)]
                           [:, looked.sampled == 3].mean() for a, b in ((0, 16), (42, 56), (56, 68)))  # fmt: skip
    assert first > second + 0.02
    assert back > second + 0.02
    choice = choose(looked, 2)
    assert not choice.after[25:31].any()
    stills = choose_stills(film, Patches(), count=2, shots=shots)
    assert [still // 32 for still in stills] == [0, 1] or [still >= 56 for still in stills] == [False, True]


@pytest.mark.parametrize("frames", [1, 3, 500])
def test_frames_are_sampled_more_thinly_the_longer_a_film_is(frames: int) -> None:
    from flowchroma.plans.survey import _sampled

    sampled = _sampled([Shot(0, frames), Shot(frames, frames + 1)])
    assert sampled[-1] == frames
    assert len(sampled) <= max(2, frames / 4 + 1)
    assert len(_sampled([Shot(0, 100_000)])) ** 2 <= 11 * 100_000


def test_a_film_as_it_is_coloured_now_bounds_what_stills_win() -> None:
    looked = looked_through([30, 30], moves=0.2)
    now = np.where(looked.sampled < 30, 6.0, 0.5)  # the second shot is better than any still makes it
    choice = choose(looked, 4, now=now, pays=10.0)
    assert choice.stills
    assert set(shots_of(looked, choice.stills)) == {0}
    assert choice.error_before == pytest.approx((now * 30).mean() / 30, abs=0.3)
    assert choice.error_before - choice.error >= max(choice.gains) > 0
    assert choice.after.max() <= 6
    assert not choose(looked, 4, now=np.full(len(now), 0.5), pays=10.0).stills
    given = int(looked.sampled[2])
    assert choose(looked, 4, given=[given], now=np.full(len(now), 0.5), pays=10.0).stills == (given,)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.data())
def test_one_more_still_makes_the_same_errors_in_a_film_that_is_coloured(seed: int, data) -> None:
    looked = random_survey(seed)
    now = np.random.default_rng(seed).uniform(0, 19, len(looked.sampled))
    errors = StillErrors(looked, now=now)
    places = st.integers(0, len(now) - 1)
    *stills, candidate = data.draw(st.lists(places, min_size=1, max_size=6, unique=True))
    grown = errors.with_one_more(errors.errors(stills), stills, candidate)
    assert np.allclose(grown, errors.errors([*stills, candidate]))
    assert (grown <= now).all()


def test_a_part_is_looked_through_as_the_film_that_it_is() -> None:
    frames = take(0, 40)
    part = survey(Frames(frames), [Shot(8, 20), Shot(20, 32)], Patches(), every=8)
    alone = survey(Frames(frames[8:32]), [Shot(0, 12), Shot(12, 24)], Patches(), every=8)
    assert np.array_equal(part.sampled, alone.sampled + 8)
    assert np.allclose(part.similarity, alone.similarity)
    assert np.allclose(part.motion[8:], alone.motion)
    assert len(part.sampled) < len(survey(Frames(frames), [Shot(8, 20), Shot(20, 32)], Patches()).sampled)

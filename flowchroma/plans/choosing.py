"""Which frames of a film are worth colouring by hand."""

import heapq
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from flowchroma.film import Film
from flowchroma.models.contracts import Matcher
from flowchroma.plans.shots import Shot, find_shots
from flowchroma.plans.still_errors import StillErrors
from flowchroma.plans.survey import Survey, survey

_PAYS = 60.0  # CIELAB units over all frames that a still must take off, where nobody says how many there may be
_ROUNDS = 3  # in which stills are moved within their shots
_REFERENCES = 3  # stills of other shots, for a shot without


@dataclass(frozen=True)
class Choice:
    """The stills of a film, and what they are expected to win.

    Attributes:
        stills: Numbers of the frames, rising; with those that were given.
        gains: What each takes off the expected error, in CIELAB units, mean over the film, beside the others.
        before: (T,) expected error of every frame with the given stills alone; 0 where it is given or needs no colour.
        after: The same with all stills.
        error_before: Mean of `before` over the frames that need colour.
        error: The same of `after`.
        similar: By the place of each shot without a still: stills of others that are most like it, the best first.
    """

    stills: tuple[int, ...]
    gains: tuple[float, ...]
    before: np.ndarray
    after: np.ndarray
    error_before: float
    error: float
    similar: dict[int, tuple[int, ...]]


def choose_stills(
    film: Film,
    matcher: Matcher,
    count: int | None = None,
    error: float | None = None,
    shots: Sequence[Shot] | None = None,
) -> list[int]:
    """Choose the frames of a film that win most when they are coloured by hand.

    Args:
        film: Its frames, of which only the luminance is used.
        matcher: Its features tell how alike two frames are.
        count: How many; None takes as many as `error` asks for, or as pay.
        error: The expected error, in CIELAB units as mean over the film, that is not to be exceeded.
        shots: The film's, as `find_shots` finds them; None finds them.

    Returns:
        Numbers of frames, rising: fewer than `count` where one more would win nothing.
    """
    shots = find_shots(film) if shots is None else shots
    return list(choose(survey(film, shots, matcher), count, error).stills)


def choose(
    looked: Survey,
    count: int | None = None,
    error: float | None = None,
    given: Collection[int] = (),
    kept: Sequence[bool] | None = None,
    now: np.ndarray | None = None,
    pays: float = 0.0,
) -> Choice:
    """Choose stills of a film that was looked through, and say what each wins.

    The one that takes most off the expected error is taken first, and so on (greedily: the gain of each only falls as
    others are taken, so that the result is near the best, Nemhauser et al. 1978); then each is moved within its shot
    as long as that wins something.

    Args:
        looked: The film; `given` stills are among its sampled frames.
        count: How many stills there are to be, with those that are given.
        error: See `choose_stills`.
        given: Numbers of frames that are stills already.
        kept: Of each shot, whether it keeps colours of its own, and needs none.
        now: See `StillErrors`.
        pays: CIELAB units over all frames that a still must take off, where `count` says how many there may be.
    """
    errors = StillErrors(looked, kept, now=now)
    fixed = [int(place) for place in np.searchsorted(looked.sampled, sorted(given))]
    stills = _moved(errors, _greedy(errors, fixed, _enough(errors, count, error, pays)), fixed)
    total = errors.total(errors.errors(stills))
    gains = [errors.total(errors.errors([other for other in stills if other != still])) - total for still in stills]
    bare = [at for at in range(len(looked.shots)) if not errors.kept[at] and at not in errors.shot_of[stills]]
    before, after = errors.per_frame(fixed), errors.per_frame(stills)
    return Choice(
        tuple(int(looked.sampled[still]) for still in stills),
        tuple(gains),
        before,
        after,
        float(before.sum()) / max(1.0, errors.frames),
        float(after.sum()) / max(1.0, errors.frames),
        {at: tuple(int(looked.sampled[n]) for n in errors.nearest(stills, at, _REFERENCES)) for at in bare},
    )


def _enough(
    errors: StillErrors, count: int | None, error: float | None, pays: float
) -> Callable[[int, float, float], bool]:
    """Whether so many stills, which leave this error, are enough beside one more that wins so much."""
    if count is not None:
        return lambda chosen, left, gain: chosen >= count or gain * errors.frames < pays
    if error is not None:
        return lambda chosen, left, gain: left <= error
    return lambda chosen, left, gain: chosen > 0 and gain * errors.frames < _PAYS


def _greedy(errors: StillErrors, fixed: Sequence[int], enough: Callable[[int, float, float], bool]) -> list[int]:
    """Add the candidate that wins most, until there are enough."""
    stills = list(fixed)
    found = errors.errors(stills)
    left = errors.total(found)
    # A gain that was worked out among fewer stills bounds the one among more: most need not be worked out again.
    queue = [(-np.inf, int(candidate), -1) for candidate in errors.candidates if candidate not in stills]
    heapq.heapify(queue)
    while queue:
        gain, candidate, among = heapq.heappop(queue)
        if among == len(stills):
            if enough(len(stills), left, -gain):
                break
            found = errors.with_one_more(found, stills, candidate)
            left = errors.total(found)
            stills.append(candidate)
            continue
        if enough(len(stills), left, np.inf):
            break
        worth = left - errors.total(errors.with_one_more(found, stills, candidate))
        heapq.heappush(queue, (-worth, candidate, len(stills)))
    return sorted(stills)


def _moved(errors: StillErrors, stills: list[int], fixed: Sequence[int]) -> list[int]:
    """Move each still to where it wins most within its shot, while any of the shot moves."""
    moving = set(errors.shot_of[stills].tolist())
    for _ in range(_ROUNDS):
        before, moved = list(stills), set()
        for still in before:
            shot = int(errors.shot_of[still])
            if still in fixed or shot not in moving:
                continue
            others = [other for other in stills if other != still]
            places = [
                c for c in errors.candidates[errors.shot_of[errors.candidates] == shot].tolist() if c not in others
            ]
            if len(places) < 2:
                continue
            found = errors.errors(others)
            left = {place: errors.total(errors.with_one_more(found, others, place)) for place in places}
            best = min(places, key=lambda place: (left[place], place != still))
            stills = sorted([*others, best])
            moved |= {shot} if best != still else set()
        if not moved:
            break
        moving = moved
    return stills

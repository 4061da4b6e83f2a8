"""Where one shot of a film ends and the next begins, from small luminance alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops import is_cut, window_mean

_Item = TypeVar("_Item")
Kind = Literal["cut", "fade", "dissolve"]

THUMBNAIL = (36, 64)  # (h, w) of the luminance that is looked at
FLASH = 4  # frames, damaged or lit by a flash, that may stand within a shot; no shot is shorter than one more
# Frames from the middle of a dissolve to what is taken for its ends. Shots are told apart best by the smallest.
_ENDS = (8, 16, 24)
_BLOCK = 64  # frames looked at together
_AREAS = (6, 8)  # into which contrast is gathered
_NOISE = 0.05  # squared units of L: less contrast is none
# Of the contrast that its ends have, half is left at the middle of a dissolve. Where motion leaves as little, it is not
# where the ends have theirs: more than this share of it is not explained.
_DIPPED, _UNEXPLAINED = 0.67, 0.6
_WASHED_OUT = 0.7  # of the contrast two frames before and after
_WHOLE = 0.8  # a ninth of the other shot, where the frames of a dissolve begin
_FADED, _LIT = 0.1, 0.8  # of the contrast that a shot has, where a fade is at its deepest, and where it has ended


@dataclass(frozen=True)
class Transition:
    """How a shot begins.

    Attributes:
        at: The frame from which the new shot counts.
        first: The first frame that is changed, `at` for a cut.
        stop: One past the last frame that is changed, `at` for a cut.
        kind: cut, fade or dissolve.
    """

    at: int
    first: int
    stop: int
    kind: Kind


class _Marked(NamedTuple):
    luma: Tensor  # (1, h, w)
    cut: bool
    flash: bool  # or the end of one


@dataclass(frozen=True)
class _Signals:
    """What is known of each frame, (T,) each, and (T, S) at the distances of `_ENDS`.

    Attributes:
        cut: Another scene begins, and what was before does not come back at once.
        contrast: Mean square of the local contrast, in squared units of L.
        share: Of the contrast that the frames around would make, where these show different scenes; else 1.
        later: Whether more of the contrast is from what comes than from what was.
    """

    cut: Tensor
    contrast: Tensor
    share: Tensor
    later: Tensor


def find_transitions(thumbnails: Iterable[Tensor]) -> list[Transition]:
    """Find cuts, fades and dissolves, in one pass; a few numbers are kept of each frame that is behind.

    Args:
        thumbnails: L in [0, 100] of each frame, (1, 36, 64).

    Returns:
        Transitions in order, at least `FLASH + 1` frames apart.
    """
    marked = _mark_cuts(thumbnails)
    parts = [_look(block, count) for block, count in _blocks(marked, max(_ENDS))]
    if not parts:
        return []
    return _transitions(_Signals(*(torch.cat(columns) for columns in zip(*parts, strict=True))))


def _blocks(items: Iterable[_Item], reach: int) -> Iterator[tuple[list[_Item], int]]:
    """Blocks of frames with `reach` more on both sides, the first and last repeated, and how many there are between."""
    kept: list[_Item] = []
    for item in items:
        kept = kept or [item] * reach
        kept.append(item)
        if len(kept) == _BLOCK + 2 * reach:
            yield kept, _BLOCK
            kept = kept[_BLOCK:]
    left = len(kept) - reach
    if left > 0:
        kept += kept[-1:] * reach
        for start in range(0, left, _BLOCK):
            count = min(_BLOCK, left - start)
            yield kept[start : start + count + 2 * reach], count


def _mark_cuts(thumbnails: Iterable[Tensor]) -> Iterator[_Marked]:
    """Each frame, and whether another scene begins there: one that stays, or one that ends at once."""
    reach = FLASH + 1
    for block, count in _blocks(thumbnails, reach):
        luma = torch.stack(block)
        cut = is_cut(luma[reach : reach + count], luma[reach - 1 : reach + count - 1])
        contrast = _contrast(luma).mean(1)
        for at, leaps in enumerate(cut.tolist(), reach):
            back = _comes_back(luma, at) if leaps else _is_washed_out(luma, contrast, at)
            yield _Marked(block[at], leaps and not back, back)


def _look(block: list[_Marked], count: int) -> tuple[Tensor, ...]:
    """The signals of the frames of a block but for those at its ends. A dissolve is looked for between two cuts."""
    luma, cut, flash = (torch.stack([torch.as_tensor(x) for x in column]) for column in zip(*block, strict=True))
    reach, every = max(_ENDS), torch.arange(len(block))
    now = every[reach : reach + count]
    last = torch.where(cut, every, -1).cummax(0).values[now]
    following = torch.where(cut, every, len(block)).flip(0).cummin(0).values.flip(0)[now + 1]
    contrast = _contrast(luma)
    ends = F.avg_pool1d(F.pad(contrast.T[None], (1, 1), mode="replicate"), 3, 1)[0].T
    share, later = torch.ones(count, len(_ENDS)), torch.zeros(count, len(_ENDS), dtype=torch.bool)
    for scale, n in enumerate(_ENDS):
        first, final = torch.maximum(now - n, last + 1), torch.minimum(now + n, following - 2)
        before, after, rest = _mixture(contrast[now], ends[first], ends[final])
        low = torch.nonzero((before + after < _WHOLE) & (rest < _UNEXPLAINED))[:, 0]
        low = low[_apart(luma[final[low]], luma[first[low]])]
        share[low, scale], later[low, scale] = (before + after)[low], (after >= before)[low]
    share[_widened(flash, FLASH)[now]] = 1  # what a flash takes from the contrast
    return cut[now], contrast[now].mean(1), share, later


def _widened(mask: Tensor, reach: int) -> Tensor:
    return F.max_pool1d(mask.float()[None], 2 * reach + 1, 1, reach)[0] > 0


def _comes_back(luma: Tensor, at: int) -> bool:
    """Whether the frames before `at` and those from it on show one scene, but for a few in between."""
    pairs = [(at + k, at - 1 - j) for k in range(FLASH + 1) for j in range(FLASH + 1 - k)]
    after, before = (luma[list(side)] for side in zip(*pairs, strict=True))
    return bool((~is_cut(after, before) & ~is_cut(before, after)).any())


def _is_washed_out(luma: Tensor, contrast: Tensor, at: int) -> bool:
    """Whether a flash takes contrast from a scene that goes on."""
    around = [at - 2, at + 2]
    return bool(contrast[at] < _WASHED_OUT * contrast[around].min()) and not is_cut(*luma[around, None]).item()


def _apart(after: Tensor, before: Tensor) -> Tensor:
    """Whether two frames, (B, 1, h, w), show different scenes; a flat one, such as black, shows none: (B,), bool."""
    return is_cut(after, before) & is_cut(before, after)


def _contrast(luma: Tensor) -> Tensor:
    """Mean square of the local contrast within areas of the frame: (T, areas)."""
    return F.adaptive_avg_pool2d((luma - window_mean(luma, 2)).square(), _AREAS).flatten(1)


def _mixture(contrast: Tensor, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shares, at least 0, of two frames' contrast that explain another's best, and what share is left, (T,) each.

    Squares of the contrast of unrelated pictures add up. A picture mixed of (1 - a) and a has (1 - a)² of one and a² of
    the other: half at the middle of a dissolve, whereas motion leaves as much as there was.
    """

    def product(x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum(1)

    first, last, both = product(before, before) + _NOISE, product(after, after) + _NOISE, product(before, after)
    with_first, with_last = product(contrast, before), product(contrast, after)
    determinant = (first * last - both.square()).clamp(min=1e-3 * first * last)
    p = (last * with_first - both * with_last) / determinant
    q = (first * with_last - both * with_first) / determinant
    only_p, only_q = q < 0, p < 0
    p, q = torch.where(only_p, with_first / first, p), torch.where(only_q, with_last / last, q)
    p, q = torch.where(only_q, 0, p), torch.where(only_p, 0, q)
    rest = contrast - p[:, None] * before - q[:, None] * after
    return p, q, (product(rest, rest) / (product(contrast, contrast) + _NOISE)).sqrt()


def _transitions(signals: _Signals) -> list[Transition]:
    frames = len(signals.cut)
    cuts: list[int] = []
    for at in torch.nonzero(signals.cut)[:, 0].tolist():  # of those that are close, the last
        cuts = cuts[:-1] if cuts and _close(at, cuts[-1]) else cuts
        cuts.append(at)
    bounds = [0, *cuts, frames]
    made = [_cut(signals.contrast, *around) for around in zip(bounds, cuts, bounds[2:], strict=False)]
    dips: list[int] = []
    for scale, n in enumerate(_ENDS):
        for first, stop in _runs(signals.share[:, scale] < _DIPPED):
            at = first + _turn(signals.later[first:stop, scale])
            changed = any(cut.first - FLASH <= at <= cut.stop + FLASH for cut in made)
            inside = FLASH < at < frames - FLASH
            if inside and not changed and not any(abs(at - dip) <= n for dip in dips):
                dips.append(at)
    bounds = sorted([0, *cuts, *dips, frames])
    made += [_dissolve(signals.share, *around) for around in zip(bounds, bounds[1:], bounds[2:], strict=False)
             if around[1] in dips]  # fmt: skip
    return sorted(made, key=lambda transition: transition.at)


def _close(at: int, other: int) -> bool:
    return abs(other - at) <= FLASH


def _runs(mask: Tensor) -> list[tuple[int, int]]:
    """First and one past the last of each run of true values, gaps of up to `FLASH` closed."""
    runs: list[tuple[int, int]] = []
    for at in torch.nonzero(mask)[:, 0].tolist():
        if runs and at - runs[-1][1] <= FLASH:
            runs[-1] = runs[-1][0], at + 1
        else:
            runs.append((at, at + 1))
    return runs


def _turn(later: Tensor) -> int:
    """Where to divide values so that the fewest before are true and the fewest from there on are false."""
    wrong = torch.cat([later.new_zeros(1), later]).cumsum(0) + (~later).sum()
    wrong[1:] -= (~later).cumsum(0)
    return int(wrong.argmin())


def _dissolve(share: Tensor, before: int, at: int, after: int) -> Transition:
    """The frames around `at` in which both shots show."""
    reach = max(_ENDS)
    mixed = (share < _WHOLE).any(1)
    first, stop = at, at
    while first > max(before, at - reach) and mixed[first - 1]:
        first -= 1
    while stop < min(after, at + reach) and mixed[stop]:
        stop += 1
    return Transition(at, first, stop, "dissolve")


def _cut(contrast: Tensor, before: int, at: int, after: int) -> Transition:
    """A cut, or a fade where the contrast of the shots falls to nothing."""
    reach = max(_ENDS)
    out = _ramp(contrast[max(before, at - reach) : at].flip(0))
    into = _ramp(contrast[at : min(after, at + reach)])
    return Transition(at, at - out, at + into, "fade" if out or into else "cut")


def _ramp(contrast: Tensor) -> int:
    """How many frames it takes from nothing to what a shot has; 0 where it does not begin at nothing."""
    lit = contrast >= _LIT * contrast.max()
    return int(lit.int().argmax()) if contrast[0] < _FADED * contrast.max() else 0

"""Fit the constants of `plans.still_errors.StillModel`: docs/plan.md.

    python benchmarks/still_errors.py FILMS      in colour, each a single shot

Of each film up to 44 frames are coloured from the first one, from the last one backward, and from both; and some,
started afresh, from frames of the same film and of others. Logarithms of errors are fitted, and then the mean.
"""

import argparse
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from scipy.optimize import least_squares
from scipy.stats import spearmanr
from torch import Tensor

from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import shrink
from flowchroma.film import open_film
from flowchroma.models import FlowChroma
from flowchroma.models.estimate import Estimate, combine
from flowchroma.plans import Shot
from flowchroma.plans.survey import Survey, descriptor, survey

FRAMES = 44
OTHERS = 3  # films that each is matched with
LEAD = 2  # frames coloured before the one whose matched colour is judged


@dataclass(frozen=True)
class Clip:
    """A film's frames in CIELAB, at the size at which colour is computed."""

    frames: list[np.ndarray]
    lab: list[Tensor]
    looked: Survey


def read(path: str, system: FlowChroma, size: int) -> Clip:
    """The first frames, every second one where the film is long enough."""
    film = open_film(path)
    step = 2 if len(film) >= 2 * FRAMES else 1
    frames = film.read(range(0, min(len(film), FRAMES * step), step))
    lab = [shrink(rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None]), size) for rgb in frames]
    looked = survey(frames, [Shot(0, len(frames))], system.matcher, also=[0, len(frames) - 1])
    return Clip(frames, lab, looked)


def carried(clip: Clip, system: FlowChroma) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """(motion, 1 - similarity, error) from one side, and (error, error, error) from each and from both."""
    last, looked = len(clip.lab) - 1, clip.looked
    runs = {0: range(1, last + 1), last: range(last - 1, -1, -1)}
    found: dict[int, dict[int, Estimate]] = {}
    rows = []
    for still, order in runs.items():
        given = clip.lab[still]
        state = system.observe(given[:, :1], given[:, 1:], system.start(given[:, None]))
        place = int(np.flatnonzero(looked.sampled == still)[0])
        found[still] = {}
        for n in order:
            frame = system.advance(clip.lab[n][:, :1], state)
            state = frame.state
            found[still][n] = Estimate.of(frame, system.fusion.error_model)
            alike = np.interp(n, looked.sampled, looked.similarity[:, place])
            motion = abs(looked.motion[n] - looked.motion[still])
            rows.append((motion, 1 - alike, error(found[still][n].ab, clip.lab[n])))
    sides = [[found[still][n] for still in runs] for n in range(1, last)]
    both = [
        (*(error(one.ab, clip.lab[n]) for one in two), error(combine(two).ab, clip.lab[n]))
        for n, two in enumerate(sides, 1)
    ]
    return rows, both


def matched(clips: Sequence[Clip], at: int, system: FlowChroma, draw: random.Random) -> list[tuple[float, float]]:
    """(1 - similarity, error) of frames that are matched with frames far off in the same film, and in others."""
    clip, rows = clips[at], []
    sampled = [int(n) for n in clip.looked.sampled if n >= LEAD]
    pairs = [(sampled[-2], at, 0), (sampled[len(sampled) // 2], at, 0), (sampled[0], at, -1)]
    others = [n for n in range(len(clips)) if n != at]
    pairs += [(draw.choice(sampled), other, 0) for other in draw.sample(others, min(OTHERS, len(others)))]
    for n, other, place in pairs:
        reference = int(clips[other].looked.sampled[place])
        state = system.start(clips[other].lab[reference][:, None])
        for frame in clip.lab[n - LEAD : n + 1]:
            ab, state = system.step(frame[:, :1], state)
        pictures = clip.frames[n], clips[other].frames[reference]
        shown, given = (descriptor(rgb, system.matcher).float() for rgb in pictures)
        rows.append((1 - float((shown @ given.T).amax(dim=1).mean()), error(ab, clip.lab[n])))
    return rows


def error(ab: Tensor, lab: Tensor) -> float:
    """Mean over the frame, in CIELAB units."""
    return float((ab - lab[:, 1:]).norm(dim=1).mean())


def fitted(features: np.ndarray, errors: np.ndarray, start: Sequence[float], log: bool) -> tuple[np.ndarray, float]:
    """Weights of features, of the error or its logarithm, and the deviation of the logarithm."""

    def predicted(weights: np.ndarray) -> np.ndarray:
        return features @ weights if log else np.log((features @ np.abs(weights)).clip(0.05))

    found = least_squares(lambda weights: predicted(weights) - np.log(errors), start, loss="soft_l1")
    return found.x, float(np.sqrt(np.mean(found.fun**2)))


@torch.inference_mode()
def main() -> None:
    """Fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", metavar="FILM")
    parser.add_argument("--size", type=int, default=112, help="short side at which colour is computed")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    system, draw = load_system(), random.Random(0)
    clips = [read(path, system, given.size) for path in given.films]
    one_side, two_sides, across = [], [], []
    for at, clip in enumerate(clips):
        for rows, more in zip((one_side, two_sides), carried(clip, system), strict=True):
            rows += more
        across += matched(clips, at, system, draw)
    motion, unlike, errors = np.array(one_side).T
    features = np.stack([np.ones_like(motion), np.sqrt(motion), unlike], axis=1)
    weights, deviation = fitted(features, errors, [0.5, 0.3, 3.0], log=False)
    weights = np.abs(weights) * errors.mean() / (features @ np.abs(weights)).mean()
    rank = spearmanr(features @ weights, errors)[0]
    print("within a shot: least {:.2f}, per_motion {:.2f}, per_unlike {:.2f}".format(*weights), end="")
    print(f"; deviation of ln {deviation:.2f}, rank correlation {rank:.2f}")
    before, after, both = np.array(two_sides).T
    for power in (2, 4, 6, 10):
        ratio = np.log(both / (before**-power + after**-power) ** (-1 / power))
        print(f"power {power}: ln of the true over the expected {ratio.mean():.2f}, deviation {ratio.std():.2f}")
    unlike, errors = np.array(across).T
    (offset, slope), deviation = fitted(np.stack([np.ones_like(unlike), unlike], 1), errors, [0.2, 4.5], log=True)
    print(f"across shots: matched {np.exp(offset):.2f}, steepness {slope:.1f}; deviation of ln {deviation:.2f}")
    far = errors[unlike > 0.5]
    print(f"most {far.mean() if len(far) else np.nan:.1f}, where nothing is alike")


if __name__ == "__main__":
    main()

"""Fit the constants of the error model to films, and show how reliable the errors are that it expects.

    python benchmarks/calibrate.py FILMS [FILMS ...] [--page docs/confidence.md]

FILMS are films in colour, folders of frames, or folders of these. The system colours each from its first frame. A
colour's true error is its distance from the film's own ab, in CIELAB units. With --page, what stands between the page's
markers, <!-- reliability --> and <!-- end of reliability -->, is replaced by the tables.

Constants minimise the mean of ln(expected) + true / expected, whose optimum is the mean true error wherever a model can
reach it. `scale` belongs to the confidence in the flow (benchmarks/confidence.py --fit); `most` and `sharpness` stay.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from flowchroma import ops
from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import shrink
from flowchroma.errors import UserError
from flowchroma.film import open_film
from flowchroma.film.suffixes import FILM_SUFFIXES, FRAME_SUFFIXES
from flowchroma.models import ErrorModel, FlowChroma, roll_out
from flowchroma.models.state import ColouredFrame, Known
from flowchroma.types import Match

SOURCES = ("carried", "matched", "recent", "fused")
EDGES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 91.0)  # CIELAB units of expected error
STEP = 4  # one pixel in so many is read, in both directions
_FITTED = ("noise", "least", "matched", "per_similarity", "per_luma", "recent")
_MOST = 300_000  # samples of a fit


@dataclass
class Samples:
    """What was read at each of N pixels, by the colour that it speaks of."""

    errors: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in SOURCES})  # (2, N)
    matches: list[np.ndarray] = field(default_factory=list)  # (3, N): -ln similarity, L difference, true error
    recent: list[np.ndarray] = field(default_factory=list)  # (3, N), the same of frames coloured before
    flow: list[np.ndarray] = field(default_factory=list)  # (2, N): error that the flow's confidence stands for, and of
    # the true colour carried by it


def films_in(paths: Sequence[str]) -> Iterator[Path]:
    """Films and folders of frames, at the paths and in them.

    Raises:
        UserError: there is none at one of them.
    """
    for path in map(Path, paths):
        inside = sorted(path.iterdir()) if path.is_dir() else []
        if path.is_file() or any(p.suffix.lower() in FRAME_SUFFIXES for p in inside):
            yield path
            continue
        found = [p for p in inside if p.is_dir() or p.suffix.lower() in FILM_SUFFIXES]
        if not found:
            raise UserError(f"no film in {path}: give films, folders of frames, or folders of these")
        yield from found


def read(system: FlowChroma, film: Path, frames: int, size: int, samples: Samples) -> None:
    """Colour a film from its first frame, and add what is seen at every other one."""
    model = system.fusion.error_model
    rgb = (torch.from_numpy(frame.copy()).permute(2, 0, 1)[None] for frame in islice(open_film(film), frames))
    labs = [shrink(rgb_to_lab(frame), size) for frame in rgb]
    lumas = (lab[:, :1] for lab in labs)
    before = labs[0]
    for lab, frame in zip(labs, roll_out(system, lumas, [before[:, None]], {0: Known(before[:, 1:])}), strict=True):
        if frame.signals is not None:
            _add(samples, model, frame, lab[:, 1:], before[:, 1:])
        before = lab


def _add(samples: Samples, model: ErrorModel, frame: ColouredFrame, truth: Tensor, before: Tensor) -> None:
    signals = frame.signals
    assert signals is not None
    assert frame.state.confidence is not None
    expected = [*model.errors(signals), model.error_of(frame.state.confidence)]
    colours = [signals.propagation.ab, signals.match.finest.ab]
    names = [name for name in SOURCES if name != "recent" or signals.recent is not None]
    if signals.recent is not None:
        colours.append(signals.recent.finest.ab)
        samples.recent.append(_match(signals.recent.finest, truth))
    samples.matches.append(_match(signals.match.finest, truth))
    there = _flat(signals.propagation.confidence) > 0
    for name, error, ab in zip(names, expected, [*colours, frame.ab], strict=True):
        pair = np.stack([_flat(error), _distance(ab, truth)])
        samples.errors[name].append(pair[:, there] if name == "carried" else pair)
    if signals.flow is not None:
        inside = _flat(signals.flow.confidence * ops.points_inside(signals.flow.colour_flow)) > 0
        carried = ops.sharp_backward_warp(before, signals.flow.colour_flow, model.sharpness)
        pair = np.stack([_flat(model.error_of(signals.flow.confidence)), _distance(carried, truth)])
        samples.flow.append(pair[:, inside])


def _match(match: Match, truth: Tensor) -> np.ndarray:
    unlike = -torch.log(match.similarity.clamp(0.01, 1))
    return np.stack([_flat(unlike), _flat(match.difference), _distance(match.ab, truth)])


def _distance(ab: Tensor, truth: Tensor) -> np.ndarray:
    return _flat(torch.linalg.vector_norm(ab - truth, dim=1, keepdim=True))


def _flat(image: Tensor) -> np.ndarray:
    return image[..., ::STEP, ::STEP].double().flatten().numpy()


def fit(samples: Samples, model: ErrorModel) -> ErrorModel:
    """The model with those of its constants fitted that films can tell."""

    def matched(constants: np.ndarray, unlike: np.ndarray, difference: np.ndarray) -> np.ndarray:
        return np.minimum(constants[0] + constants[1] * unlike + constants[2] * difference, model.most)

    def carried(constants: np.ndarray, flow: np.ndarray) -> np.ndarray:
        return np.hypot(constants[0], np.maximum(flow - constants[1], 0))

    names = ("matched", "per_similarity", "per_luma")
    model = _fitted(model, names, matched, samples.matches)
    base = np.array([getattr(model, name) for name in names])
    model = _fitted(model, ("recent",), lambda c, *found: np.hypot(matched(base, *found), c[0]), samples.recent)
    return _fitted(model, ("least", "noise"), carried, samples.flow)


def _fitted(
    model: ErrorModel, names: Sequence[str], expected: Callable[..., np.ndarray], parts: Sequence[np.ndarray]
) -> ErrorModel:
    """Fit constants to samples (K + 1, N): the K arguments of `expected` after the constants, and the true error."""
    if not parts:
        return model
    whole = np.concatenate(parts, axis=1)
    *arguments, true = whole[:, np.random.default_rng(0).permutation(whole.shape[1])[:_MOST]]

    def loss(constants: np.ndarray) -> float:
        error = np.maximum(expected(np.abs(constants), *arguments), 0.05)
        return float(np.mean(np.log(error) + true / error))

    start = np.array([getattr(model, name) for name in names])
    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-7, "maxiter": 1000})
    return replace(model, **{name: round(float(abs(x)), 3) for name, x in zip(names, found.x, strict=True)})


def constants_table(shipped: ErrorModel, fitted: ErrorModel) -> str:
    """The fitted constants beside the shipped ones, in markdown."""
    rows = [f"| `{name}` | {getattr(shipped, name):g} | {getattr(fitted, name):.2f} |" for name in _FITTED]
    return "\n".join(["| constant | shipped | best for these films |", "|---|---|---|", *rows])


def reliability_table(errors: dict[str, list[np.ndarray]]) -> str:
    """Share of pixels, mean expected and mean true error by bins of the expected one, in markdown."""
    lines = ["| expected | " + " | ".join(SOURCES) + " |", "|---" * (1 + len(SOURCES)) + "|"]
    pairs = {name: np.concatenate(parts, axis=1) if parts else np.zeros((2, 0)) for name, parts in errors.items()}
    bins = {f"{low:g} to {high:g}": (low, high) for low, high in pairwise(EDGES)} | {"all": (0.0, math.inf)}
    for title, (low, high) in bins.items():
        cells = []
        for name in SOURCES:
            expected, true = pairs[name]
            chosen = (expected >= low) & (expected < high)
            means = f"{expected[chosen].mean():.1f} / {true[chosen].mean():.1f}" if chosen.any() else ""
            cells.append(f"{100 * chosen.mean():.0f} %: {means}" if means else "")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Fit, print, and write the page."""
    parser = argparse.ArgumentParser(description="Fit the error model to films.")
    parser.add_argument("films", nargs="+", metavar="FILMS", help="films, folders of frames, or folders of these")
    parser.add_argument("--frames", type=int, default=40, help="of each film, from the first")
    parser.add_argument("--size", type=int, default=240, help="short side at which colour is computed")
    parser.add_argument("--checkpoint", help="directory of a fusion run; the shipped weights by default")
    parser.add_argument("--page", type=Path, help="a page whose tables are replaced")
    options = parser.parse_args()
    system, samples, films = load_system(options.checkpoint), Samples(), list(films_in(options.films))
    with torch.inference_mode():
        for film in films:
            read(system, film, options.frames, options.size, samples)
    shipped = system.fusion.error_model
    made = (
        f"{len(films)} films, the first {options.frames} frames of each: {', '.join(film.stem for film in films)}.\n\n"
        f"{reliability_table(samples.errors)}\n\n{constants_table(shipped, fit(samples, shipped))}"
    )
    print(made)
    if options.page:
        begin, end = "<!-- reliability -->", "<!-- end of reliability -->"
        before, _, rest = options.page.read_text().partition(begin)
        options.page.write_text(f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    main()

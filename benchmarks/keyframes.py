"""How `plans.fit_keyframe` judges pictures of known kinds: the table in docs/keyframes.md.

    python benchmarks/keyframes.py DAVIS/JPEGImages/240p/{blackswan,camel} --write docs/keyframes.md
    python benchmarks/keyframes.py films/*.mp4 --pairs 6 --enlarged 1080      how exact and how fast at that height

Pictures are frames in other tones: another mix of channels, gamma 0.8 to 1.25, gain, noise, blur, JPEG of quality 60
to 95. Whether something moves between two frames is known by OpenCV's DIS flow, both ways, of the frames as they are.
"""

import argparse
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from flowchroma.film import open_film
from flowchroma.film.film import Film
from flowchroma.plans.fitting import Fit, fit_keyframe

MARKS = "<!-- pairs -->\n", "<!-- end of pairs -->\n"
STEPS = (1, 5, 20)
ALIGNED = ("exact", "shifted by 1 to 12 pixels", "scaled by 0.95 to 1.05", "turned by up to 3 degrees",
           "cropped by up to 8 % on each side")  # fmt: skip
OTHERS = ("mirrored", *(f"frame t ± {step}" for step in STEPS), "of another film", "retouched in 2 to 15 % of the area")
KINDS = (*ALIGNED, *OTHERS)


def toned(rgb: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A picture (H, W, 3) uint8 in other colours and tones, scanned and compressed."""
    mix = np.eye(3) + draw.uniform(-0.15, 0.15, (3, 3))
    light = (rgb / 255 @ (mix / mix.sum(1, keepdims=True)).T).clip(0, 1)
    light = light ** draw.uniform(0.8, 1.25) * draw.uniform(0.85, 1.1) + draw.uniform(-0.05, 0.05)
    light = cv2.GaussianBlur(light, (0, 0), draw.uniform(0.1, 0.8) * rgb.shape[0] / 240)
    light += draw.normal(0, draw.uniform(0, 0.025), light.shape)
    encoded = cv2.imencode(".jpg", (light.clip(0, 1) * 255).astype(np.uint8), [1, int(draw.integers(60, 96))])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def placement(kind: str, shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """A map (2, 3) from a picture to its frame."""
    height, width = shape[:2]
    centre = (width - 1) / 2, (height - 1) / 2
    if kind.startswith("shifted"):
        angle, far = draw.uniform(0, 2 * np.pi), draw.uniform(1, 12) * height / 240
        return np.array([[1, 0, far * np.cos(angle)], [0, 1, far * np.sin(angle)]])
    if kind.startswith("scaled"):
        return cv2.getRotationMatrix2D(centre, 0, draw.uniform(0.95, 1.05))
    if kind.startswith("turned"):
        return cv2.getRotationMatrix2D(centre, draw.uniform(-3, 3), 1)
    if kind.startswith("cropped"):
        left, right, top, bottom = draw.uniform(0.03, 0.08, 4) * draw.permutation([1, 0, 1, 1])
        return np.array([[1 - left - right, 0, left * width], [0, 1 - top - bottom, top * height]])
    return np.eye(2, 3)


def motion(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Shares of the area that move by more than 1.5 and 3 pixels, where flows both ways agree, beside an affine one."""
    grays = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (one, other)]
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow, back = solver.calc(*grays, None), solver.calc(*grays[::-1], None)
    y, x = np.mgrid[: one.shape[0], : one.shape[1]].astype(np.float32)
    at = np.stack([x, y], axis=-1) + flow
    returned = cv2.remap(back, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=(99, 99))
    sure = np.linalg.norm(flow + returned, axis=-1) < 1
    points = [np.ascontiguousarray(p[sure][::29], np.float64) for p in (np.stack([x, y], axis=-1), at)]
    matrix = (
        cv2.estimateAffine2D(*points, method=cv2.RANSAC, ransacReprojThreshold=1.0)[0] if sure.mean() > 0.1 else None
    )
    if matrix is None:
        return 1.0, 1.0
    far = np.linalg.norm(at - cv2.transform(np.stack([x, y], axis=-1), matrix.astype(np.float32)), axis=-1)
    return float((sure & (far > 1.5)).mean()), float((sure & (far > 3)).mean())


@dataclass
class Row:
    """Judgements of one kind of pictures."""

    right: list[bool] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)  # pixels, largest over the frame
    named: list[bool] = field(default_factory=list)  # the frame itself, or one beside it
    seconds: list[float] = field(default_factory=list)  # of the processor


def error_of(matrix: np.ndarray, truth: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance of two maps of a picture, in pixels."""
    y, x = np.mgrid[0 : shape[0] - 1 : 5j, 0 : shape[1] - 1 : 5j]
    points = np.stack([x.ravel(), y.ravel(), np.ones(25)])
    return float(np.linalg.norm((matrix - truth) @ points, axis=0).max())


class Enlarged:
    """A film's frames at another height."""

    def __init__(self, film: Film, height: int) -> None:
        self.film, self.name, self.path, self.files = film, film.name, film.path, ()
        self.size = height, round(film.size[1] * height / film.size[0])

    def __len__(self) -> int:
        return len(self.film)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.read([number])[0] for number in range(len(self)))

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `Film.read`."""
        return [cv2.resize(f, self.size[::-1], interpolation=cv2.INTER_CUBIC) for f in self.film.read(indices)]


class Pairs:
    """Pictures of a film's frames, and what `fit_keyframe` says of them."""

    def __init__(self, films: list[Film], seed: int) -> None:
        self.films, self.draw = films, np.random.default_rng(seed)
        self.rows: dict[str, Row] = {}

    def judge(self, kind: str, picture: np.ndarray, film: Film, number: int) -> tuple[Fit, Row]:
        """Fit a toned picture."""
        row = self.rows.setdefault(kind, Row())
        begun = time.process_time()
        fit = fit_keyframe(toned(picture, self.draw), film, number)
        row.seconds.append(time.process_time() - begun)
        return fit, row

    def add(self, at: int) -> None:
        """One pair of each kind; of enlarged films, those that are to be aligned alone."""
        film = self.films[at % len(self.films)]
        number = int(self.draw.integers(len(film)))
        frame = film.read([number])[0]
        for kind in ALIGNED:
            truth = placement(kind, frame.shape, self.draw)
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            moved = cv2.warpAffine(frame, truth, frame.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
            fit, row = self.judge(kind, moved, film, number)
            row.right.append(fit.fits and not fit.mirrored)
            row.errors.append(error_of(fit.matrix, truth, frame.shape))
        if isinstance(film, Enlarged):
            return
        fit, row = self.judge("mirrored", np.ascontiguousarray(frame[:, ::-1]), film, number)
        row.right.append(fit.fits and fit.mirrored)
        for step in STEPS:
            self._neighbour(film, number, frame, step)
        other = self.films[(at + 1 + int(self.draw.integers(len(self.films) - 1))) % len(self.films)]
        foreign = cv2.resize(other.read([int(self.draw.integers(len(other)))])[0], frame.shape[1::-1])
        fit, row = self.judge("of another film", foreign, film, number)
        row.right.append(not fit.fits)
        self._retouched(film, number, frame, foreign)

    def _neighbour(self, film: Film, number: int, frame: np.ndarray, step: int) -> None:
        other = int(self.draw.choice([n for n in (number - step, number + step) if 0 <= n < len(film)]))
        picture = film.read([other])[0]
        little, much = motion(frame, picture)
        moves = "moves" if much > 0.01 else "does not move" if little < 0.001 else "hardly moves"
        fit, row = self.judge(f"frame t ± {step}, {moves}", picture, film, number)
        row.right.append(moves == "hardly moves" or fit.fits == (moves == "does not move"))
        if moves == "moves":
            row.named.append(fit.looks_like is not None and abs(fit.looks_like - other) <= 1)

    def _retouched(self, film: Film, number: int, frame: np.ndarray, foreign: np.ndarray) -> None:
        height, width = frame.shape[:2]
        area, ratio = self.draw.uniform(0.02, 0.15), self.draw.uniform(0.7, 1.4)
        tall = int(height * np.sqrt(area) * ratio)
        wide = int(area * height * width / tall)
        y, x = int(self.draw.integers(height - tall)), int(self.draw.integers(width - wide))
        patch = slice(y, y + tall), slice(x, x + wide)
        picture = frame.copy()
        picture[patch] = foreign[patch]
        fit, row = self.judge("retouched in 2 to 15 % of the area", picture, film, number)
        row.right.append(fit.fits and fit.differing > 0)
        row.errors.append(error_of(fit.matrix, np.eye(2, 3), frame.shape))

    def table(self) -> str:
        """In Markdown."""
        lines = [
            "| picture | pairs | judged right | frame named | error: mean | max |",
            "|---|---|---|---|---|---|",
        ]
        for kind, row in self.rows.items():
            errors = f"{np.mean(row.errors):.2f} | {max(row.errors):.2f}" if row.errors else " | "
            named = str(sum(row.named)) if row.named else ""
            right = "any" if "hardly" in kind else str(sum(row.right))
            cells = (kind, str(len(row.right)), right, named, errors)
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def main() -> None:
    """Judge, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", metavar="FILM")
    parser.add_argument("--pairs", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--enlarged", type=int, metavar="HEIGHT", help="frames enlarged to this many pixels")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between its marks in this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    films: list[Film] = [film for path in given.films if len(film := open_film(path)) >= 2 * max(STEPS)]
    if given.enlarged:
        films = [Enlarged(film, given.enlarged) for film in films]
    pairs = Pairs(films, given.seed)
    for at in range(given.pairs):
        pairs.add(at)
    print(pairs.table())
    for kind, row in pairs.rows.items():
        print(f"{kind}: {np.median(row.seconds):.2f} processor seconds, at most {max(row.seconds):.2f}")
    if given.write:
        text = given.write.read_text()
        inside = re.compile(f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", re.S)
        given.write.write_text(inside.sub(lambda _: f"{MARKS[0]}{pairs.table()}{MARKS[1]}", text))


if __name__ == "__main__":
    main()

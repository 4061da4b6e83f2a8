"""How well the expected error of a frame tells its true error: docs/confidence.md.

    python benchmarks/expected_error.py FILMS [FILMS ...] [--frames 40] [--size 112] [--page docs/confidence.md]

FILMS are films in colour, folders of frames, or folders of these. Each is coloured in three ways: from its first and
last frame as keyframes; from its first alone; and, its first half alone, from its last frame as a mere reference.
Errors are means over the frame, in CIELAB units of ab, at the size at which colour is computed: calibrated ones, which
people read, and true ones. The scale that is printed last (`models.estimate.CALIBRATION_SCALE`) is the best for these
films with the first frame alone; it is not to be fitted to films that it is judged on. With --page, what stands between
<!-- expected --> and <!-- end of expected --> there is replaced by the table.
"""

import argparse
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from calibrate import films_in
from scipy.optimize import brentq
from scipy.stats import spearmanr
from torch import Tensor

from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.colorizers.painter import shrink
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.film import open_film
from flowchroma.models import FlowChroma
from flowchroma.models.estimate import CALIBRATION_SCALE, UNRELATED_ERROR

MARKS = "<!-- expected -->", "<!-- end of expected -->"
EDGES = np.geomspace(0.25, 90.0, 41)  # CIELAB units of expected error, of the bins that a fit sees


@dataclass(frozen=True)
class Errors:
    """Of a film's frames but for keyframes, means over each, CIELAB units."""

    name: str
    told: np.ndarray  # (T,)
    true: np.ndarray  # (T,)
    shares: np.ndarray  # (T, K) of the pixels whose error, as it is weighed, is in each bin

    @property
    def rank(self) -> float:
        """Spearman's correlation of what is told with the truth."""
        return float(spearmanr(self.told, self.true)[0])


def read(system: FlowChroma, path: Path, frames: int, size: int) -> list[Errors]:
    """Colour the first frames of a film all ways."""
    film = [torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None] for rgb in islice(open_film(path), frames)]
    ends = {0: film[0], len(film) - 1: film[-1]}
    ways = {
        "keyframes": (film, ends, []),
        "first frame": (film, {0: film[0]}, []),
        "reference": (film[: len(film) // 2], {}, [film[-1]]),
    }
    return [Errors(f"{path.stem}, {way}", *_errors(system, size, *given)) for way, given in ways.items()]


def _errors(
    system: FlowChroma, size: int, film: list[Tensor], keyframes: dict[int, Tensor], references: list[Tensor]
) -> tuple[np.ndarray, ...]:
    rows = []
    with TemporaryDirectory() as folder:
        painter = ShotPainter(
            system,
            size,
            start=0,
            stop=len(film),
            keyframes=keyframes,
            references=references,
            backward_frames=lambda first, stop: film[first:stop],
            files=EstimateFiles(Path(folder)),
        )
        for number, rgb in enumerate(film):
            _, estimate = painter.paint(rgb)
            if number in keyframes:
                continue
            off = (estimate.ab - shrink(rgb_to_lab(rgb), size)[:, 1:]).norm(dim=1)
            unlimited = estimate.error / (1 - (estimate.error / UNRELATED_ERROR).clamp(max=0.99))
            weighed = unlimited / CALIBRATION_SCALE
            shares = np.histogram(weighed.clamp(EDGES[0], EDGES[-1]).numpy(), EDGES)[0] / off.numel()
            rows.append([float(estimate.error.mean()), float(off.mean()), *shares])
    shown, true, *shares = np.array(rows).T
    return shown, true, np.stack(shares, axis=1)


def fit(films: list[Errors]) -> float:
    """The scale with which errors have the mean of the truth over films from the first frame, each counting alike."""
    own = [film for film in films if film.name.endswith("first frame")]
    centres = np.sqrt(EDGES[1:] * EDGES[:-1])

    def excess(scale: float) -> float:
        shown = scale * centres / (1 + scale * centres / UNRELATED_ERROR)
        return float(np.mean([(film.shares @ shown).mean() - film.true.mean() for film in own]))

    return float(brentq(excess, 0.01, 100.0))


def table(films: list[Errors]) -> str:
    """A row a film, and their means, in markdown."""
    lines = ["| film, coloured from | frames | told | true | told / true | rank |", "|---" * 6 + "|"]
    for film in films:
        means = [float(x.mean()) for x in (film.told, film.true)]
        lines.append(_row(film.name, str(len(film.true)), *means, film.rank))
    for way in dict.fromkeys(film.name.rpartition(", ")[2] for film in films):
        own = [film for film in films if film.name.endswith(way)]
        means = [
            float(np.mean([x.mean() for x in part])) for part in zip(*((f.told, f.true) for f in own), strict=True)
        ]
        lines.append(_row(f"mean, {way}", "", *means, float(np.mean([film.rank for film in own]))))
    return "\n".join(lines)


def _row(name: str, frames: str, shown: float, true: float, rank: float) -> str:
    return f"| {name} | {frames} | {shown:.2f} | {true:.2f} | {shown / true:.2f} | {rank:.2f} |"


@torch.inference_mode()
def main() -> None:
    """Colour, print, and write the page."""
    parser = argparse.ArgumentParser(description="Compare expected errors of frames with true ones.")
    parser.add_argument("films", nargs="+", metavar="FILMS", help="films, folders of frames, or folders of these")
    parser.add_argument("--frames", type=int, default=40, help="of each film, from the first")
    parser.add_argument("--size", type=int, default=112, help="short side at which colour is computed")
    parser.add_argument("--checkpoint", help="directory of a fusion run; the shipped weights by default")
    parser.add_argument("--page", type=Path, help="a page whose table is replaced")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    system, films = load_system(options.checkpoint), []
    for path in films_in(options.films):
        films += read(system, path, options.frames, options.size)
    print(table(films))
    print(f"scale {fit(films):.2f}")
    if options.page:
        before, _, rest = options.page.read_text().partition(MARKS[0])
        options.page.write_text(f"{before}{MARKS[0]}\n{table(films)}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


if __name__ == "__main__":
    main()

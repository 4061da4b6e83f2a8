"""How much chosen stills win: the tables in docs/plan.md.

    python benchmarks/stills.py FILMS [--frames 160] [--shots 10] [--size 112] [--stills 5 10] [--page docs/plan.md]

FILMS, video files or folders of frames, are spliced into one: shots of 8 to 40 frames at random, of which one in four
returns to a film that was shown before. Every way of choosing gives the same number of stills. Shots are coloured one
by one from their stills (`ShotPainter`); one without has as references the three stills that are most like it. Stills
themselves are not scored. PSNR is the mean over frames. With --page, what stands between <!-- stills --> and <!-- end
of stills --> is replaced.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.colorizers.painter import shrink
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.film import open_film
from flowchroma.models import FlowChroma
from flowchroma.plans import find_shots
from flowchroma.plans.choosing import choose
from flowchroma.plans.survey import Survey, survey

HEIGHT = 240
REFERENCES = 3
SHORTEST, LONGEST = 8, 40


def splice(paths: Sequence[str], shots: int, frames: int, seed: int) -> tuple[list[np.ndarray], list[str]]:
    """Frames of one size, and what each shot shows."""
    random = np.random.default_rng(seed)
    lengths = random.uniform(SHORTEST, LONGEST, shots)
    lengths = np.clip(np.round(lengths * frames / lengths.sum()), SHORTEST, LONGEST).astype(int)
    names = [paths[at] for at in random.permutation(len(paths))[:shots]]
    while len(names) < shots:
        names.append(names[random.integers(len(names))])
    for at in range(3, shots, 4):
        names[at] = names[random.integers(at - 1)]
    spliced: list[np.ndarray] = []
    for at, (name, length) in enumerate(zip(names, lengths, strict=True)):
        film = open_film(name)
        returns = name in names[:at]
        first = len(film) - length if returns else min(4, len(film) - length)
        spliced += [_fitted(rgb) for rgb in film.read(range(max(0, first), max(0, first) + length))]
    return spliced, [Path(name).stem for name in names]


def _fitted(rgb: np.ndarray) -> np.ndarray:
    """240 x 426, cut at the sides."""
    width = round(HEIGHT * 16 / 9)
    scale = max(HEIGHT / rgb.shape[0], width / rgb.shape[1])
    size = (max(width, round(rgb.shape[1] * scale)), max(HEIGHT, round(rgb.shape[0] * scale)))
    large = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    top, left = (large.shape[0] - HEIGHT) // 2, (large.shape[1] - width) // 2
    return np.ascontiguousarray(large[top : top + HEIGHT, left : left + width])


def evenly(looked: Survey, count: int) -> list[int]:
    """Stills at the same distance throughout the film."""
    frames = looked.shots[-1].stop
    return [int((n + 0.5) * frames / count) for n in range(count)]


def first_frames(looked: Survey, count: int) -> list[int]:
    """First frames of the longest shots; where there are more stills, second ones in the middle of the longest."""
    longest = sorted(looked.shots, key=lambda shot: shot.start - shot.stop)
    places = [shot.start for shot in longest] + [(shot.start + shot.stop) // 2 for shot in longest]
    return sorted(places[:count])


@torch.inference_mode()
def colour(
    frames: Sequence[np.ndarray], looked: Survey, stills: Sequence[int], system: FlowChroma, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """PSNR of each frame, and the error of its ab in CIELAB units at the computing size; NaN for stills."""
    tensors = [torch.from_numpy(rgb).permute(2, 0, 1)[None] for rgb in frames]
    psnr, error = np.full(len(frames), np.nan), np.full(len(frames), np.nan)
    for shot, own, references in _sources(looked, stills):
        with tempfile.TemporaryDirectory() as folder:
            painter = ShotPainter(
                system,
                size,
                shot.start,
                shot.stop,
                {n: tensors[n] for n in own},
                [tensors[n] for n in references],
                lambda first, stop: tensors[first:stop],
                EstimateFiles(Path(folder)),
            )
            for n in range(shot.start, shot.stop):
                painted, estimate = painter.paint(tensors[n])
                if n not in own:
                    psnr[n], error[n] = _scores(painted, estimate.ab, tensors[n], size)
    return psnr, error


def _sources(looked: Survey, stills: Sequence[int]):
    """Each shot with its own stills, or the references of one without."""
    sampled = looked.sampled
    shot_of = np.searchsorted([shot.start for shot in looked.shots], sampled, side="right") - 1
    near: dict[int, int] = {}  # the sampled frame of its shot that stands for a still
    for at, shot in enumerate(looked.shots):
        places = np.flatnonzero(shot_of == at)
        inside = [still for still in stills if shot.start <= still < shot.stop]
        near |= {still: places[np.abs(sampled[places] - still).argmin()] for still in inside}
    for at, shot in enumerate(looked.shots):
        own = [still for still in stills if shot.start <= still < shot.stop]
        rows = shot_of == at
        alike = sorted(stills, key=lambda still: -looked.similarity[rows][:, near[still]].mean())
        yield shot, own, [] if own else alike[:REFERENCES]


def _scores(painted: Tensor, ab: Tensor, truth: Tensor, size: int) -> tuple[float, float]:
    """PSNR, and the error at the size at which colour is computed."""
    squared = ((painted.float() - truth.float()) / 255).square().mean()
    apart = (ab - shrink(rgb_to_lab(truth), size)[:, 1:]).norm(dim=1).mean()
    return float(-10 * squared.clamp(min=1e-10).log10()), float(apart)


def measure(given: argparse.Namespace) -> list[str]:
    """Lines of the table."""
    system = load_system()
    lines, correlations = [], []
    for seed in given.seeds:
        frames, names = splice(given.films, given.shots, given.frames, seed)
        shots = find_shots(iter(frames))
        begun = time.process_time()
        looked = survey(frames, shots, system.matcher)
        spent = time.process_time() - begun
        print(f"seed {seed}: {len(frames)} frames, {len(shots)} shots of {len(names)}: {', '.join(names)}; "
              f"{1000 * spent / len(frames):.0f} ms a frame", flush=True)  # fmt: skip
        for count in given.stills:
            choice = choose(looked, count)
            ways = {
                "chosen": list(choice.stills),
                "evenly spaced": evenly(looked, count),
                "first frame of each shot": first_frames(looked, count),
            }
            for way, stills in ways.items():
                psnr, error = colour(frames, looked, stills, system, given.size)
                lines.append((count, way, float(np.nanmean(psnr)), float(np.nanmean(error))))
                said = ""
                if way == "chosen":
                    scored = ~np.isnan(error)
                    rank = spearmanr(choice.after[scored], error[scored])[0]
                    correlations.append(rank)
                    said = f"; expected {choice.error:.2f}, Spearman {rank:.2f}"
                quality, apart = lines[-1][2:]
                print(
                    f"  {count} stills, {way}: {quality:.2f} dB, error {apart:.2f}{said} {stills}",
                    flush=True,
                )
    return _table(lines, correlations)


def _table(lines: Sequence[tuple[int, str, float, float]], correlations: Sequence[float]) -> list[str]:
    counts, ways = dict.fromkeys(line[0] for line in lines), dict.fromkeys(line[1] for line in lines)
    made = ["| stills | " + " | ".join(ways) + " |", "|---" * (1 + len(ways)) + "|"]
    for count in counts:
        cells = []
        for way in ways:
            found = np.array([line[2:] for line in lines if line[:2] == (count, way)]).mean(0)
            cells.append(f"{found[0]:.2f} dB, {found[1]:.2f}")
        made.append(f"| {count} | " + " | ".join(cells) + " |")
    return [*made, "", f"Rank correlation of expected and true error over frames: {np.mean(correlations):.2f}."]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", metavar="FILM")
    parser.add_argument("--frames", type=int, default=160)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--size", type=int, default=112, help="short side at which colour is computed")
    parser.add_argument("--stills", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table between its marks in this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    text = "\n".join(measure(given))
    print(text)
    if given.page:
        before, begin, rest = given.page.read_text().partition("<!-- stills -->\n")
        _, end, after = rest.partition("<!-- end of stills -->")
        given.page.write_text(f"{before}{begin}{text}\n{end}{after}")


if __name__ == "__main__":
    main()

"""How well shots are found in gray films: `plans.find_shots`, `ops.is_cut` alone, and the detectors of PySceneDetect.

    python benchmarks/shots.py FILMS [--page docs/shots.md]      PySceneDetect: pip install scenedetect-headless

FILMS, each a single shot, are video files or folders of frames. They are made gray and joined by cuts, dissolves and
fades. Every second of them, from the first, is for choosing constants: there the threshold of each library's detector
is searched, the best F1 over all transitions counting. The others are reported. Films whose names begin alike, up to
the first "_", are never joined. With --page, what stands between <!-- shots --> and <!-- end of shots --> is replaced.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from flowchroma import ops
from flowchroma.color import rgb_to_lab
from flowchroma.film import open_film
from flowchroma.plans import find_shots

SIZE = (144, 256)
DISSOLVES, FADES, LEVELS = (8, 12, 16, 24), (8, 16, 24), {"black": 0.0, "white": 255.0}
KINDS = [("cut", 0), *(("dissolve", n) for n in DISSOLVES), *((level, n) for level in LEVELS for n in FADES)]
LEAST = 5  # frames in a shot, for all detectors
THRESHOLDS = {
    "ContentDetector": (4, 8, 12, 18, 27),
    "AdaptiveDetector": (1.5, 2, 3, 4),
    "HistogramDetector": (0.05, 0.1, 0.2, 0.4),
    "HashDetector": (0.15, 0.2, 0.3, 0.395),
    "ThresholdDetector": (4, 12, 24),
}
Detector = Callable[[np.ndarray], list[int]]  # of (T, h, w) uint8 frames: where shots begin, but for the first


@dataclass(frozen=True)
class Joined:
    """A gray film, (T, h, w) uint8, and (first frame changed, first whole again) of each transition in it."""

    kind: str
    frames: np.ndarray
    spans: list[tuple[int, int]]


@dataclass
class Count:
    """What a detector found."""

    found: int = 0
    missed: int = 0
    false: int = 0
    off: float = 0.0  # frames from the middles of those found, summed

    def cell(self) -> str:
        """Recall, precision, frames off."""
        off = f"{self.off / self.found:.1f}" if self.found else "-"
        precision = f"{100 * self.found / (self.found + self.false):.0f}" if self.found + self.false else "-"
        return f"{100 * self.found / (self.found + self.missed):.0f} / {precision} / {off}"


def gray_clip(path: str) -> np.ndarray:
    """A film's luma, (T, 144, 256) uint8."""
    shrunk = (cv2.resize(frame, SIZE[::-1], interpolation=cv2.INTER_AREA) for frame in open_film(path))
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in shrunk])


def join(clips: dict[str, np.ndarray], kind: str, span: int, seed: int, worn: bool = False, shots: int = 8) -> Joined:
    """Shots of 20 to 44 whole frames at random, played to and fro where a clip is too short.

    Args:
        clips: by name.
        kind: "cut", "dissolve", or what is faded through: "black" or "white".
        span: frames of a dissolve; or of a fade out, and as many of the fade in after it.
        seed: of the choice.
        worn: with grain, flicker, weave and dirt.
        shots: how many.
    """
    random = np.random.default_rng([seed, span, len(kind)])
    names = [""]
    while len(names) <= shots:
        name = list(clips)[random.integers(len(clips))]
        if name.split("_")[0] != names[-1].split("_")[0]:
            names.append(name)
    out: list[np.ndarray] = []
    spans = []
    tail = np.empty(0)
    for name in names[1:]:
        clip = clips[name]
        at = (random.integers(len(clip)) + np.arange(random.integers(20, 45) + 2 * span)) % (2 * len(clip) - 2)
        shot = clip[np.minimum(at, 2 * len(clip) - 2 - at)].astype(np.float32)
        if out:
            mixed = transition(kind, span, tail, shot[:span])
            spans.append((len(out), len(out) + len(mixed)))
            out += mixed
        out += list(shot[span : len(shot) - span])
        tail = shot[len(shot) - span :]
    out = wear(out, random) if worn else out
    return Joined(kind, np.stack([frame.round().clip(0, 255).astype(np.uint8) for frame in out]), spans)


def transition(kind: str, span: int, one: np.ndarray, other: np.ndarray) -> list[np.ndarray]:
    """The frames between two shots, of `span` frames of each."""
    if kind == "dissolve":
        share = (np.arange(1, span + 1, dtype=np.float32) / (span + 1))[:, None, None]
        return list((1 - share) * one + share * other)
    if kind == "cut":
        return []
    share = (np.arange(1, span + 1, dtype=np.float32) / span)[:, None, None]
    level = LEVELS[kind]
    return [*((1 - share) * one + share * level), *((1 - share[::-1]) * other + share[::-1] * level)]


def wear(frames: Sequence[np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
    """Grain of 5 of 255, flicker of 8 %, weave of 2 of 256 pixels, and dirt on three frames of a hundred."""
    out = []
    for frame in frames:
        worn = frame * (1 + 0.08 * random.uniform(-1, 1)) + random.normal(0, 5, frame.shape).astype(np.float32)
        shift = np.array([[1, 0, random.uniform(-2, 2)], [0, 1, random.uniform(-2, 2)]], np.float32)
        worn = cv2.warpAffine(worn, shift, SIZE[::-1], borderMode=cv2.BORDER_REPLICATE)
        if random.random() < 0.03:
            centre, axes = random.integers(0, SIZE[::-1]).tolist(), random.integers(5, 60, 2).tolist()
            cv2.ellipse(worn, centre, axes, 0, 0, 360, float(random.choice([0, 255])), -1)
        out.append(worn)
    return out


def single_shots(clips: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Films without a transition: each clip at its speed, twice and three times that, and with flashes."""
    for clip in clips.values():
        yield from (clip[::stride] for stride in (1, 2, 3))
        flashed = clip.astype(np.int32)
        for length, light in ((1, 100), (2, 60), (3, 255)):
            at = length * len(clip) // 4
            flashed[at : at + length] += light
        yield flashed.clip(0, 255).astype(np.uint8)


def by_find_shots(frames: np.ndarray) -> list[int]:
    """Ours."""
    return [shot.start for shot in find_shots(np.repeat(frame[..., None], 3, axis=2) for frame in frames)][1:]


def by_is_cut(frames: np.ndarray) -> list[int]:
    """Hard cuts alone."""
    lightness = rgb_to_lab(torch.arange(256, dtype=torch.uint8).expand(3, 1, 256))[0, 0]
    luma = lightness[torch.from_numpy(frames).int()][:, None]
    return [at for at in range(1, len(luma)) if ops.is_cut(luma[at : at + 1], luma[at - 1 : at])]


def by_library(name: str, threshold: float, frames: np.ndarray) -> list[int]:
    """A detector of PySceneDetect; ThresholdDetector both for black and for white."""
    import scenedetect
    from scenedetect import detectors

    least = {"min_scene_len": LEAST}
    if name == "ThresholdDetector":
        methods = detectors.ThresholdDetector.Method
        made = [
            detectors.ThresholdDetector(threshold=threshold, method=methods.FLOOR, **least),
            detectors.ThresholdDetector(threshold=255 - threshold, method=methods.CEILING, **least),
        ]
    elif name == "AdaptiveDetector":
        made = [detectors.AdaptiveDetector(threshold, min_content_val=5, luma_only=True, **least)]
    else:
        light = {"luma_only": True} if name == "ContentDetector" else {}
        made = [getattr(detectors, name)(threshold=threshold, **light, **least)]
    cuts = []
    for at, frame in enumerate(frames):
        time_code, bgr = scenedetect.FrameTimecode(at, fps=25.0), cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
        cuts += [cut.frame_num for detector in made for cut in detector.process_frame(time_code, bgr)]
    return sorted(cuts)


def count(detector: Detector, films: Sequence[Joined]) -> Count:
    """Match what is found with what is there: within the frames that change, and one beside."""
    total = Count()
    for film in films:
        called = detector(film.frames)
        for first, stop in film.spans:
            middle = (first + stop) / 2
            inside = [at for at in called if first - 1 <= at <= stop + 1]
            total.found += bool(inside)
            total.missed += not inside
            total.off += min((abs(at - middle) for at in inside), default=0)
            called = [at for at in called if at not in inside[:1]]
        total.false += len(called)
    return total


def best(name: str, films: Sequence[Joined]) -> tuple[str, Detector]:
    """The threshold of a library's detector that serves all transitions best."""

    def f1(threshold: float) -> float:
        counted = count(partial(by_library, name, threshold), films)
        return 2 * counted.found / max(1, 2 * counted.found + counted.missed + counted.false)

    threshold = max(THRESHOLDS[name], key=f1)
    return f"{name}, {threshold:g}", partial(by_library, name, threshold)


def row(name: str, detector: Detector, films: Sequence[Joined], shots: Sequence[np.ndarray]) -> str:
    """A line of a table: cuts, dissolves, fades, false alarms in single shots, milliseconds a frame."""
    groups = [{"cut"}, {"dissolve"}, set(LEVELS)]
    started = time.process_time()
    cells = [count(detector, [film for film in films if film.kind in group]).cell() for group in groups]
    spent = 1000 * (time.process_time() - started) / sum(len(film.frames) for film in films)
    false = sum(len(detector(shot)) for shot in shots)
    return f"| {name} | {' | '.join(cells)} | {false} | {spent:.1f} |"


def tables(clips: dict[str, np.ndarray], films: int) -> Iterator[str]:
    """All lines."""
    chosen, reported = (dict(list(clips.items())[half::2]) for half in (0, 1))
    detectors: dict[str, Detector] = {"`find_shots`": by_find_shots, "`ops.is_cut`": by_is_cut}
    search = [join(chosen, kind, span, 0, shots=6) for kind, span in KINDS]
    try:
        detectors |= dict(best(name, search) for name in THRESHOLDS)
    except ImportError:
        print("PySceneDetect is not here: pip install scenedetect-headless")
    yield f"Of {len(clips)} clips, {len(reported)} are reported: {', '.join(reported)}."
    for worn in (False, True):
        made = [join(reported, kind, span, seed, worn) for kind, span in KINDS for seed in range(1, films + 1)]
        shots = [] if worn else list(single_shots(reported))
        about = "with grain, flicker, weave and dirt" if worn else "as they are"
        spans = {kind: sum(len(film.spans) for film in made if film.kind == kind) for kind in dict(KINDS)}
        fades = sum(spans[level] for level in LEVELS)
        still = f"false in {sum(map(len, shots))} frames of single shots"
        yield (
            f"\n| clips {about} | cuts: {spans['cut']} | dissolves: {spans['dissolve']} | fades: {fades} "
            f"| {still} | ms |"
        )
        yield "|---" * 6 + "|"
        yield from (row(name, detector, made, shots) for name, detector in detectors.items())


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description="How well shots are found in gray films.")
    parser.add_argument("films", nargs="+", metavar="FILM")
    parser.add_argument("--films", dest="many", type=int, default=3, help="made of each kind of transition")
    parser.add_argument("--page", type=Path, help="a page whose tables are replaced")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    clips = {Path(path).stem: gray_clip(path) for path in options.films}
    lines = []
    for line in tables(clips, options.many):
        print(line, flush=True)
        lines.append(line)
    if options.page:
        begin, end = "<!-- shots -->", "<!-- end of shots -->"
        before, _, rest = options.page.read_text().partition(begin)
        made = "\n".join(lines)
        options.page.write_text(f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    main()

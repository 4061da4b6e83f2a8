"""Expected errors of coloured frames, kept piece by piece until the film is joined."""

import json
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from flowchroma.colorizers.painter import shrink
from flowchroma.film.segments.store import Segment

_WORST = 2  # frames of a piece that are kept, each the worst of as many frames
_MAP, _PICTURE = 120, 135  # short sides in pixels
_STEP = 0.1  # CIELAB units to which maps are rounded; the most that they hold are 25.5


@dataclass(frozen=True)
class Moment:
    """A frame whose colours are less sure than those around it."""

    frame: int
    error: np.ndarray  # (h, w), expected, CIELAB units
    rgb: np.ndarray  # (h, w, 3) uint8, coloured, small


class PieceErrors:
    """Errors of consecutive frames, gathered while they are coloured.

    Args:
        start: number of the first one.
        stop: number of the one after the last.
    """

    def __init__(self, start: int, stop: int) -> None:
        self._start, self._stop = start, stop
        self._means: list[float] = []
        self._worst: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}  # number, coded error, picture; by run

    def add(self, error: Tensor | None, rgb: np.ndarray) -> None:
        """Take the next frame.

        Args:
            error: (1, 1, h, w), expected, CIELAB units; None where the frame keeps its own.
            rgb: (H, W, 3) uint8 or uint16, coloured.
        """
        number = self._start + len(self._means)
        run = _WORST * len(self._means) // (self._stop - self._start)
        if error is None:
            self._means.append(0.0)
            return
        self._means.append(round(float(error.mean()), 3))
        if run not in self._worst or self._means[-1] > self._means[self._worst[run][0] - self._start]:
            coded = (shrink(error, _MAP)[0, 0] / _STEP).round().clamp(0, 255)
            self._worst[run] = number, coded.cpu().numpy().astype(np.uint8), _small(rgb)

    def save(self, folder: Path, key: str) -> None:
        """Write them as those of the piece made under `key`. A full disk loses them: the film goes first."""
        means, worst = _paths(folder, (self._start, self._stop, key))
        with suppress(OSError):
            _replace(means, lambda path: path.write_text(json.dumps(self._means), encoding="utf-8"))
            if self._worst:
                frames, errors, pictures = map(np.stack, zip(*self._worst.values(), strict=True))
                _replace(worst, lambda path: np.savez_compressed(path, frames=frames, errors=errors, pictures=pictures))


class ErrorFiles:
    """Errors of a film whose pieces are all coloured.

    Args:
        folder: where `PieceErrors` were saved.
        pieces: of the film, in order.
    """

    def __init__(self, folder: Path, pieces: Sequence[Segment]) -> None:
        self._folder, self._pieces = folder, pieces

    def means(self) -> np.ndarray:
        """Mean expected error of each frame from the first piece's on, (T,), CIELAB units; NaN where it is lost."""
        parts = [np.full(stop - start, np.nan) for start, stop, _ in self._pieces]
        for part, piece in zip(parts, self._pieces, strict=True):
            with suppress(OSError, ValueError):  # torn by a power cut
                part[:] = json.loads(_paths(self._folder, piece)[0].read_text(encoding="utf-8"))
        return np.concatenate(parts)

    def worst(self) -> list[int]:
        """Numbers of the frames of which there is a `Moment`, rising."""
        return sorted(number for piece in self._pieces for number in _read(self._folder, piece, "frames"))

    def moments(self, numbers: Sequence[int]) -> list[Moment]:
        """What is kept of some of these frames, in their order."""
        found: dict[int, Moment] = {}
        for piece in self._pieces:
            if not any(piece[0] <= number < piece[1] for number in numbers):
                continue
            frames, errors, pictures = (_read(self._folder, piece, name) for name in ("frames", "errors", "pictures"))
            for number, error, rgb in zip(map(int, frames), errors, pictures, strict=True):
                found[number] = Moment(number, error.astype(np.float32) * _STEP, rgb)
        return [found[number] for number in numbers if number in found]


def _paths(folder: Path, piece: Segment) -> tuple[Path, Path]:
    name = "{}-{}-{}".format(*piece)
    return folder / f"errors-{name}.json", folder / f"worst-{name}.npz"


def _read(folder: Path, piece: Segment, name: str) -> np.ndarray:
    with (
        suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile),
        np.load(_paths(folder, piece)[1]) as held,
    ):
        return held[name]
    return np.zeros(0, int)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    side = path.with_name(f"partial-{path.name}")
    write(side)
    side.replace(path)


def _small(rgb: np.ndarray) -> np.ndarray:
    import cv2

    scale = min(1.0, _PICTURE / min(rgb.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return small if small.dtype == np.uint8 else (small // 256).astype(np.uint8)

"""A film coloured shot by shot, each from its own pictures, and kept piece by piece."""

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flowchroma.app.colouring.assignments import Assignment
from flowchroma.app.colouring.background import in_background, prefetched
from flowchroma.app.colouring.error_files import PieceErrors
from flowchroma.app.colouring.frames import FrameReader
from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.colorizers.painter import GrayFrame, to_array, to_tensor
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.film import FrameWriter
from flowchroma.film.segments import SegmentStore, TakenError
from flowchroma.models import FlowChroma

# What makes a frame as it is written, (1, 3, H, W), and the error expected of it, (1, 1, h, w); None if it is its own.
_Coloured = tuple[Callable[[], Tensor], Tensor | None]

_WAIT = 2.0  # seconds between two looks at what other processes do
_FORMAT = 3  # of a state that is kept; another one is not read, and its shot begins anew


class FilmPainter:
    """Colours shots into a store of segments.

    Args:
        system: the three networks.
        size: short side in pixels at which colour is computed.
        store: keeps what is done.
        frames: reads the film.
        backward_frames: reads it a second time, for the way back from keyframes; None colours forward only.
        device: that colours.
        progress: called after each frame, on the way back as well.
    """

    def __init__(
        self,
        system: FlowChroma,
        size: int,
        store: SegmentStore,
        frames: FrameReader,
        backward_frames: FrameReader | None,
        device: torch.device,
        progress: Callable[[], None],
    ) -> None:
        self._system, self._size, self._store, self._device = system, size, store, device
        self._frames, self._backward_frames, self._progress = frames, backward_frames, progress

    @torch.inference_mode()
    def paint(self, assignments: Sequence[Assignment]) -> None:
        """Colour what is not done yet of these shots, and by no other process."""
        for assignment in assignments:
            left = [piece for piece in assignment.pieces if not self._store.has(*piece, assignment.key)]
            if not left:
                continue
            try:
                self._shot(assignment, left[0][0])
            except TakenError:
                continue

    def wait(self, assignments: Sequence[Assignment]) -> None:
        """Until other processes have done theirs of these shots, doing what they leave undone."""
        while not self._store.is_joined and not is_done(self._store, assignments):
            self.paint(assignments)
            if not is_done(self._store, assignments):
                time.sleep(_WAIT)

    def _shot(self, assignment: Assignment, first: int) -> None:
        """Colour a shot from the piece that begins at `first`, or from its start if what was before is forgotten."""
        shot, key = assignment.shot, assignment.key
        kept = _StateFile(self._store.folder / f"state-{shot.start}-{key}.pt", self._device)
        files = EstimateFiles(self._store.folder / f"estimates-{shot.start}-{key}")
        painter = self._painter(assignment, files)
        state = kept.read(first) if painter else None
        if painter and state is not None:
            painter.resume(state, first)
        for start, stop in assignment.pieces:
            if self._store.has(start, stop, key):
                if painter and start >= painter.next:  # the next one goes on from it
                    self._colour(painter, start, stop, lambda _: None)
                continue
            errors = PieceErrors(start, stop)
            with self._store.segment(start, stop, key) as writer:
                with in_background(partial(_write, writer, errors)) as give:
                    self._colour(painter, start, stop, give)
                errors.save(self._store.folder, key)  # before the frames count as done
            for number in range(start, stop):
                files.drop(number)
            if stop < shot.stop and painter:
                kept.write(stop, painter.saved())
        kept.remove()
        files.remove()

    def _painter(self, assignment: Assignment, files: EstimateFiles) -> ShotPainter | None:
        if assignment.keeps_colour:
            return None
        given = assignment.keyframes
        keyframes = {number: to_tensor(picture.rgb, self._device) for number, picture in given.items()}
        masks = {number: picture.valid for number, picture in given.items() if picture.valid is not None}
        valid = {number: torch.from_numpy(mask).to(self._device)[None, None] for number, mask in masks.items()}
        references = [to_tensor(picture.rgb, self._device) for picture in assignment.references]
        shot, back = assignment.shot, self._read_back if self._backward_frames else None
        return ShotPainter(
            self._system, self._size, shot.start, shot.stop, keyframes, references, back, files, self._progress, valid
        )

    def _colour(self, painter: ShotPainter | None, start: int, stop: int, give: Callable[[_Coloured], None]) -> None:
        """Colour frames [start, stop), reading beside it."""
        if painter is None:
            with prefetched(self._frames.read(start, stop)) as pictures:
                for rgb in pictures:
                    give((partial(_untouched, rgb), None))
                    self._progress()
            return
        with prefetched(self._gray(start, stop)) as frames:
            for frame in frames:
                ab, estimate = painter.colour(frame.small)
                give((partial(frame.painted, ab), estimate.error))
                self._progress()

    @torch.inference_mode()
    def _gray(self, start: int, stop: int) -> Iterator[GrayFrame]:
        for rgb in self._frames.read(start, stop):
            yield GrayFrame.of(rgb, self._size)

    def _read_back(self, start: int, stop: int) -> Iterator[Tensor]:
        assert self._backward_frames is not None
        with prefetched(self._backward_frames.read(start, stop)) as frames:
            yield from frames


@torch.inference_mode()
def _write(writer: FrameWriter, errors: PieceErrors, frames: Iterator[_Coloured]) -> None:
    for make, error in frames:
        rgb = to_array(make())
        writer.write(rgb)
        errors.add(error, rgb)


def is_done(store: SegmentStore, assignments: Sequence[Assignment]) -> bool:
    """Whether all frames of these shots are kept."""
    return all(store.has(*piece, assignment.key) for assignment in assignments for piece in assignment.pieces)


def _untouched(rgb: Tensor) -> Tensor:
    return rgb if rgb.dtype == torch.uint8 else (rgb * 65535).round().int()


class _StateFile:
    """What the next frame of a shot depends on, after a piece that is done."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self._path, self._device = path, device

    def read(self, number: int) -> Any:
        """The state before a frame, if it is the one that was kept."""
        with suppress(OSError, EOFError, pickle.UnpicklingError, RuntimeError, ValueError):  # torn by a kill
            saved = torch.load(self._path, map_location=self._device, weights_only=False)
            fits = saved.get("format") == _FORMAT and saved["number"] == number
            return saved["state"] if fits else None
        return None

    def write(self, number: int, state: Any) -> None:
        side = self._path.with_suffix(".partial")
        torch.save({"format": _FORMAT, "number": number, "state": state}, side)
        side.replace(self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

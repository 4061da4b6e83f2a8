"""A span of a film between two keyframes as a file of safetensors, in half precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from flowchroma.data.rollouts.frames import TENSORS, TwoSidedFrames
from flowchroma.data.sources.source import existing_root
from flowchroma.errors import UserError

SUFFIX = ".safetensors"
Box = tuple[slice, slice]  # rows and columns
WHOLE: Box = (slice(None), slice(None))


@dataclass(frozen=True)
class SpanFile:
    """What a file says of itself."""

    path: Path
    film: str
    frames: tuple[int, int, int]  # numbers of the first keyframe and of the last, and the step between frames
    made_by: str  # `fingerprint` of the system
    size: tuple[int, int]  # H, W

    def __len__(self) -> int:
        """The frames between the keyframes."""
        first, last, step = self.frames
        return (last - first) // step - 1

    def read(self, frame: int, box: Box = WHOLE) -> TwoSidedFrames:
        """Read one of the frames, counted from 0, or a part of it, in float32; a `UserError` where it is damaged."""
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: _read(file, name, frame, box) for name in TENSORS}
        except (OSError, SafetensorError) as error:
            raise _damaged(self.path, error) from error
        first, _, step = self.frames
        return TwoSidedFrames(**tensors, names=(f"{self.film} {first + (frame + 1) * step}",))


def write_span(path: Path, frames: TwoSidedFrames, film: str, numbers: range, made_by: str) -> None:
    """Write the frames between the first and the last of `numbers`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: getattr(frames, name).half().contiguous().cpu() for name in TENSORS}
    side = path.with_name(path.name + ".part")
    between = f"{numbers[0]} {numbers[-1]} {numbers.step}"
    save_file(tensors, side, metadata={"film": film, "frames": between, "system": made_by})
    side.replace(path)


def open_span(path: Path) -> SpanFile:
    """Read what a file says of itself; a `UserError` where it is damaged, or another file."""
    try:
        with safe_open(path, framework="pt") as file:
            known = file.metadata() or {}
            first, last, step = map(int, known["frames"].split())
            size = file.get_slice("luma").get_shape()[-2:]
            return SpanFile(path, known["film"], (first, last, step), known["system"], (size[0], size[1]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def find_spans(root: str | Path | None) -> list[SpanFile]:
    """All spans under a folder, by name.

    Raises:
        UserError: there is none, one is damaged, or they were made by different systems.
    """
    folder = existing_root(root, "the rollouts that flowchroma.rollouts made")
    spans = [open_span(path) for path in sorted(folder.rglob(f"*{SUFFIX}"))]
    if not spans:
        raise UserError(f"{folder} holds no rollouts: make them by flowchroma.rollouts source=FILMS output={folder}")
    if other := next((span for span in spans if span.made_by != spans[0].made_by), None):
        raise UserError(f"{spans[0].path} and {other.path} were made by different networks: make them anew")
    return spans


def _read(file: Any, name: str, frame: int, box: Box) -> torch.Tensor:
    stored = file.get_slice(name)
    return (stored[frame : frame + 1] if name == "position" else stored[frame : frame + 1, :, *box]).float()


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is no whole file of rollouts ({' '.join(str(error).split())}): remove it")


def smallest(spans: Sequence[SpanFile]) -> tuple[int, int]:
    """Height and width that every frame has at least."""
    return min(span.size[0] for span in spans), min(span.size[1] for span in spans)

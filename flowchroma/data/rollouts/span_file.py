"""A coloured span of a film as a file of safetensors, in half precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from flowchroma.data.rollouts.frames import KINDS, KeptFrames
from flowchroma.data.sources.source import existing_root
from flowchroma.errors import UserError
from flowchroma.files.tensors import write_tensors
from flowchroma.weights.files import Fingerprint

SUFFIX = ".safetensors"
MADE = "made"  # the first part of the names of made films, the second of which is their split
Box = tuple[slice, slice]  # rows and columns
WHOLE: Box = (slice(None), slice(None))


@dataclass(frozen=True)
class SpanFile:
    """What a file says of itself."""

    path: Path
    film: str
    frames: range  # numbers of the frames that it holds
    made_by: Fingerprint  # of the system
    size: tuple[int, int]  # H, W
    trains: str  # see `KeptFrames`
    drawn: str = ""  # the options by which it was drawn

    def __len__(self) -> int:
        """How many frames it holds."""
        return len(self.frames)

    def read(self, frame: int, box: Box = WHOLE) -> KeptFrames:
        """Read one of the frames, counted from 0, or a part of it, in float32; a `UserError` where it is damaged."""
        kind = KINDS[self.trains]
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: _read(file, name, frame, box) for name in kind.tensors()}
        except (OSError, SafetensorError) as error:
            raise _damaged(self.path, error) from error
        return kind(**tensors, names=(f"{self.film} {self.frames[frame]}",))


def write_span(
    path: Path, frames: KeptFrames, film: str, numbers: range, made_by: Fingerprint, drawn: str = ""
) -> None:
    """Write frames, whose numbers in their film are given, whole or not at all; see `SpanFile`."""
    tensors = {name: getattr(frames, name).half().contiguous().cpu() for name in frames.tensors()}
    about = {"film": film, "frames": f"{numbers.start} {numbers.stop} {numbers.step}", "trains": frames.trains}
    about |= {"drawn": drawn, "networks": made_by.networks, "fusion": made_by.fusion}
    write_tensors(path, tensors, about)


def open_span(path: Path) -> SpanFile:
    """Read what a file says of itself; a `UserError` where it is damaged, or another file."""
    try:
        with safe_open(path, framework="pt") as file:
            known = file.metadata() or {}
            if "frames" not in known or known.get("trains") not in KINDS:
                raise UserError(f"{path} is no file of rollouts: give a folder that holds nothing else")
            kind = KINDS[known["trains"]]
            if missing := set(kind.tensors()) - set(file.keys()):
                raise UserError(f"{path} is of another version, without {min(missing)}: make the rollouts anew")
            numbers = range(*map(int, known["frames"].split()))
            size = file.get_slice("luma").get_shape()[-2:]
            made_by, drawn = Fingerprint(known["networks"], known["fusion"]), known.get("drawn", "")
            return SpanFile(path, known["film"], numbers, made_by, (size[0], size[1]), kind.trains, drawn)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def find_spans(root: str | Path | None) -> list[SpanFile]:
    """All spans under a folder, by name.

    Raises:
        UserError: there is none, one is damaged, or they are of two kinds or made by different networks; those for a
            fusion may be made by different fusions.
    """
    folder = existing_root(root, "the rollouts that flowchroma.rollouts made")
    spans = [open_span(path) for path in sorted(folder.rglob(f"*{SUFFIX}"))]
    if not spans:
        raise UserError(f"{folder} holds no rollouts: make them by flowchroma.rollouts source=FILMS output={folder}")
    first = spans[0]
    if other := next((span for span in spans if span.trains != first.trains), None):
        raise UserError(f"{first.path} trains the {first.trains}, {other.path} the {other.trains}: give one kind")
    if other := next((span for span in spans if not first.made_by.fits(span.made_by, span.trains)), None):
        raise UserError(f"{first.path} and {other.path} were made by different networks: make them anew")
    return spans


def _read(file: Any, name: str, frame: int, box: Box) -> torch.Tensor:
    stored = file.get_slice(name)
    part = stored[frame : frame + 1, :, *box] if len(stored.get_shape()) > 1 else stored[frame : frame + 1]
    return part.float()


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is no whole file of rollouts ({' '.join(str(error).split())}): remove it")


def smallest(spans: Sequence[SpanFile]) -> tuple[int, int]:
    """Height and width that every frame has at least."""
    return min(span.size[0] for span in spans), min(span.size[1] for span in spans)

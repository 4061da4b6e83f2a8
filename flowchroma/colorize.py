"""Colour a film: python -m flowchroma.colorize source=FILM reference=IMAGE output=FILM.mp4."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from flowchroma.app.options import command, named_references
from flowchroma.app.settings import pick_device
from flowchroma.app.systems import load_system
from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.colorizers import Painter
from flowchroma.errors import UserError
from flowchroma.film import Film, FrameWriter, open_film, open_writer, read_reference

_TEXTS = ("source", "reference", "output", "checkpoint")


def main() -> None:
    """Run the command."""
    command("colorize", run, _TEXTS, "nothing was written")


def run(config: DictConfig) -> None:
    """Colour a film as the options say."""
    for option in ("source", "output"):
        if config[option] in (None, ""):
            raise UserError(f"no {option}: give source=FILM reference=IMAGE output=FILM.mp4, or --help")
    if not isinstance(config.size, int) or config.size < 16:
        raise UserError(f"size must be a whole number of pixels from 16 on, not {config.size}", code=2)
    film = open_film(config.source)
    device = pick_device(config.device)
    given = [read_reference(spec, film) for spec in named_references(str(config.reference))]
    references = [to_tensor(rgb, device) for rgb, _ in given]
    known = {frame: rgb for (_, frame), rgb in zip(given, references, strict=True) if frame is not None}
    with open_writer(config.output, like=film, fps=config.fps, crf=config.quality) as writer:
        painter = Painter(load_system(config.checkpoint).to(device), config.size)
        started = time.perf_counter()
        with bar() as progress:
            task = progress.add_task("colouring", total=len(film), rate=0.0)

            def show(done: int) -> None:
                progress.update(task, completed=done, rate=done / (time.perf_counter() - started))

            colorize(film, painter, references, writer, known, show)
    each = (time.perf_counter() - started) / len(film)
    print(f"{len(film)} frames, {each:.2f} s a frame: {config.output}")


@torch.inference_mode()
def colorize(
    film: Film,
    painter: Painter,
    references: Sequence[Tensor],
    writer: FrameWriter,
    known: Mapping[int, Tensor] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Colour a film frame by frame.

    Args:
        film: Only its luminance is used.
        painter: Gives the colour.
        references: Each (1, 3, h, w) uint8 RGB, of any size, on the device that is to do the work.
        writer: Takes the coloured frames.
        known: Frames whose true colour is given, like a reference, by frame number.
        progress: Told the number of frames done after each of them.
    """
    known = known or {}
    painter.start(*references)
    for index, frame in enumerate(film):
        rgb = to_tensor(frame, references[0].device)
        if index in known:
            painter.observe(known[index])
            coloured = lab_to_rgb8(torch.cat((rgb_to_lab(rgb)[:, :1], rgb_to_lab(known[index])[:, 1:]), dim=1))
        else:
            coloured = painter.paint(rgb)
        writer.write(coloured[0].permute(1, 2, 0).cpu().numpy())
        progress(index + 1)


def to_tensor(rgb: np.ndarray, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 RGB to (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(rgb)).to(device).permute(2, 0, 1)[None]


def bar() -> Progress:
    """A progress bar with speed and time left, on stderr."""
    speed = TextColumn("{task.fields[rate]:.1f} frames/s")
    left = TextColumn("left")
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn(), left,
        console=console,
    )  # fmt: skip


if __name__ == "__main__":
    main()

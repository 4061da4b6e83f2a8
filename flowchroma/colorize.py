"""Colour a film: python -m flowchroma.colorize source=FILM reference=IMAGE output=FILM.mp4."""

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from flowchroma.app.options import command, named_references
from flowchroma.app.progress import shown_progress
from flowchroma.app.settings import pick_device
from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers import Painter
from flowchroma.colorizers.painter import lay_over
from flowchroma.errors import UserError
from flowchroma.film import FrameWriter, HeldFilm, open_film, open_writer, read_reference

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
    for line in film.notes:
        warnings.warn(line, stacklevel=1)
    settings = {"fps": config.fps, "crf": config.quality, "overwrite": config.overwrite, "deep": True}
    with open_writer(config.output, like=film, **settings) as writer:
        frames = HeldFilm(film, strict=config.strict, deep=writer.deep)
        painter = Painter(load_system(config.checkpoint).to(device), config.size)
        started = time.perf_counter()
        with shown_progress("colouring", len(film)) as show:
            colorize(frames, painter, references, writer, known, show)
    each = (time.perf_counter() - started) / len(film)
    print(f"{len(film)} frames, {each:.2f} s a frame: {config.output}")
    if summary := frames.summary():
        print(f"flowchroma: {summary}", file=sys.stderr)


@torch.inference_mode()
def colorize(
    film: Iterable[np.ndarray],
    painter: Painter,
    references: Sequence[Tensor],
    writer: FrameWriter,
    known: Mapping[int, Tensor] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Colour a film frame by frame.

    Args:
        film: Its frames, (H, W, 3) RGB, uint8 or uint16, of which only the luminance is used.
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
            coloured = lay_over(rgb_to_lab(rgb)[:, :1], rgb_to_lab(known[index])[:, 1:], deep=rgb.dtype != torch.uint8)
        else:
            coloured = painter.paint(rgb)
        whole = coloured[0].permute(1, 2, 0).cpu().numpy()
        writer.write(whole if whole.dtype == np.uint8 else whole.astype(np.uint16))
        progress(index + 1)


def to_tensor(rgb: np.ndarray, device: torch.device) -> Tensor:
    """(H, W, 3) RGB to (1, 3, H, W): uint8 to the same, uint16 to float in [0, 1]."""
    if rgb.dtype == np.uint16:
        rgb = rgb.astype(np.float32) / 65535
    return torch.from_numpy(np.ascontiguousarray(rgb)).to(device).permute(2, 0, 1)[None]


if __name__ == "__main__":
    main()

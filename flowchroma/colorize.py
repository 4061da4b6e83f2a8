"""Colour a film: python -m flowchroma.colorize source=FILM reference=IMAGE output=FILM.mp4."""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.errors import UserError
from flowchroma.film import Film, FrameWriter, open_film, open_writer, read_reference
from flowchroma.models import FlowChroma
from flowchroma.settings import CONF, load_system, quiet

_TEXTS = ("source", "reference", "output", "checkpoint")  # taken as typed, whatever is in them


def main() -> None:
    """Run the command, and say in one line what went wrong if something did."""
    try:
        with initialize_config_dir(CONF, version_base="1.3"):
            if {"-h", "--help"} & set(sys.argv[1:]):
                print(compose("colorize", return_hydra_config=True).hydra.help.template)
                return
            config = compose_options(sys.argv[1:])
        quiet()
        run(config)
    except UserError as error:
        print(f"flowchroma: {error}", file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        print("flowchroma: interrupted, nothing was written", file=sys.stderr)
        sys.exit(130)


def compose_options(arguments: Sequence[str]) -> DictConfig:
    """Compose the config from key=value arguments, within `initialize_config_dir`.

    Raises:
        UserError: One of them is no option, or has no value that Hydra can read.
    """
    known = [str(key) for key in compose("colorize")]
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if not equals or key.lstrip("+") not in known:
            raise UserError(f"unknown option {argument!r}: give {'=, '.join(known)}=, or --help", code=2)
    try:
        return compose("colorize", overrides=[quote(argument) for argument in arguments])
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read the options: {reason}; see --help", code=2) from error


def quote(argument: str) -> str:
    """Quote a path for Hydra's grammar, so that blanks, commas, brackets and = in it need no care of the user's."""
    key, _, value = argument.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if key.lstrip("+") not in _TEXTS or quoted or value in ("", "null"):
        return argument
    value = re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + end[2].replace("'", "\\'"), value)
    return f"{key}='{value.replace('${', chr(92) + '${')}'"


def run(config: DictConfig) -> None:
    """Colour a film as the options say."""
    for option in ("source", "output"):
        if config[option] in (None, ""):
            raise UserError(f"no {option}: give source=FILM reference=IMAGE output=FILM.mp4, or --help")
    if not isinstance(config.size, int) or config.size < 16:
        raise UserError(f"size must be a whole number of pixels from 16 on, not {config.size}", code=2)
    film = open_film(config.source)
    device = pick_device(config.device)
    rgb, frame = read_reference(config.reference, film)
    known = {} if frame is None else {frame: rgb}
    with open_writer(config.output, like=film, fps=config.fps, crf=config.quality) as writer:
        system = load_system(config.checkpoint).to(device)
        references = shrink(to_lab(rgb, device), config.size)[:, None]
        started = time.perf_counter()
        with bar() as progress:
            task = progress.add_task("colouring", total=len(film), rate=0.0)

            def show(done: int) -> None:
                progress.update(task, completed=done, rate=done / (time.perf_counter() - started))

            colorize(film, system, references, writer, config.size, known, show)
    each = (time.perf_counter() - started) / len(film)
    print(f"{len(film)} frames, {each:.2f} s a frame: {config.output}")


@torch.inference_mode()
def colorize(
    film: Film,
    system: FlowChroma,
    references: Tensor,
    writer: FrameWriter,
    size: int,
    known: Mapping[int, np.ndarray] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Colour a film frame by frame: chroma computed small, laid over the untouched full-resolution L.

    Args:
        film: Only its L is used.
        system: Gives the colour.
        references: (1, R, 3, h, w), CIELAB, on the device that is to do the work.
        writer: Takes the coloured frames.
        size: Short side in pixels at which chroma is computed, at most the film's own.
        known: Frames whose true colour is given, (H, W, 3) uint8 RGB by frame number.
        progress: Told the number of frames done after each of them.
    """
    known = known or {}
    state = system.start(references)
    for index, rgb in enumerate(film):
        luma = to_lab(rgb, references.device)[:, :1]
        small = shrink(luma, size)
        if index in known:
            ab = to_lab(known[index], references.device)[:, 1:]
            state = system.know(small, shrink(ab, size), state)
        else:
            ab, state = system.step(small, state)
            ab = F.interpolate(ab.float(), luma.shape[-2:], mode="bilinear", align_corners=False)
        writer.write(lab_to_rgb8(torch.cat((luma, ab), 1))[0].permute(1, 2, 0).cpu().numpy())
        progress(index + 1)


def to_lab(rgb: np.ndarray, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 RGB to (1, 3, H, W) CIELAB."""
    return rgb_to_lab(torch.from_numpy(rgb).to(device).permute(2, 0, 1)[None])


def shrink(image: Tensor, size: int) -> Tensor:
    """Resize (B, C, H, W), antialiased, so that its short side is `size`; one that is smaller stays as it is."""
    height, width = image.shape[-2:]
    scale = size / min(height, width)
    if scale >= 1:
        return image
    return F.interpolate(image, (round(height * scale), round(width * scale)), mode="bilinear", antialias=True)


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is the fastest there is.

    Raises:
        UserError: This machine, or its PyTorch, has none of that name.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, usable in there.items() if usable))
    if name.split(":")[0] not in there:
        raise UserError(f"unknown device {name}: give auto, cpu, cuda or mps", code=2)
    if not there[name.split(":")[0]]:
        raise UserError(f"device={name} is not there: give device=auto or device=cpu")
    return torch.device(name)


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

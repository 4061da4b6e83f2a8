"""What `python -m flowchroma.rollouts` does: colour spans of films, and write what was found for their frames."""

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from flowchroma import ops
from flowchroma.app.options import parts_of
from flowchroma.app.progress import shown_progress
from flowchroma.app.settings import pick_device
from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import shrink, to_tensor
from flowchroma.data.made.sample import SampleFilm
from flowchroma.data.rollouts.frames import KeptFrames, SignalFrames, TwoSidedFrames
from flowchroma.data.rollouts.span_file import MADE, SUFFIX, open_span, write_span
from flowchroma.data.sources.films import find_films
from flowchroma.errors import UserError
from flowchroma.film import OpenedFilm, open_film
from flowchroma.models import FlowChroma, roll_out
from flowchroma.models.estimate import Estimate
from flowchroma.models.state import ColouredFrame, Known
from flowchroma.weights.files import Fingerprint

_ATTEMPTS = 5  # to draw a span without a cut
_LEAST = 3  # frames of a span
_MADE_FOR_ONE_HELD_OUT = 7  # made films


@dataclass(frozen=True)
class Drawing:
    """How spans are drawn."""

    length: tuple[int, int]  # least and most frames
    stride: tuple[int, int]  # least and most step
    seed: int
    size: int  # short side of the frames in pixels

    def generator(self, name: str, number: int) -> np.random.Generator:
        """Randomness of a film's span: the same whichever others are drawn."""
        return np.random.default_rng((self.seed, zlib.crc32(name.encode()), number))

    def draw(self, rng: np.random.Generator, frames: int) -> range | None:
        """The numbers of a span's frames; None where a film has too few."""
        stride, length = (int(rng.integers(low, high + 1)) for low, high in (self.stride, self.length))
        stride = max(self.stride[0], min(stride, (frames - 1) // (length - 1)))
        length = min(length, (frames - 1) // stride + 1)
        if length < self.length[0]:
            return None
        first = int(rng.integers(frames - (length - 1) * stride))
        return range(first, first + (length - 1) * stride + 1, stride)


def run(config: DictConfig) -> None:
    """Colour spans of films as the options say."""
    made_films = _whole(config, "made", 0)
    for option in ("output",) if made_films else ("source", "output"):
        if config[option] in (None, ""):
            raise UserError(f"no {option}: give source=FILMS output=DIR, or --help")
    length, stride = _pair(config, "length", _LEAST), _pair(config, "stride", 1)
    drawing = Drawing(length, stride, _whole(config, "seed", 0), _whole(config, "size", 16))
    spans = _whole(config, "spans", 1)
    device, output = pick_device(config.device), Path(config.output).expanduser()
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is no folder: give another output")
    colour = _COLOURING.get(config.trains)
    if colour is None:
        raise UserError(f"trains must be {' or '.join(_COLOURING)}, not {config.trains}", code=2)
    films: dict[str, Path | SampleFilm] = {} if config.source in (None, "") else {**_films(config.source)}
    if shadowed := next((name for name in films if made_films and name.startswith(f"{MADE}/")), None):
        raise UserError(f"{shadowed} of {config.source} is named as made films are: rename its folder, or give made=0")
    films |= dict(_made_film(seed, drawing) for seed in range(made_films))
    system = load_system(config.checkpoint).to(device)
    if config.trains == SignalFrames.trains and not system.fusion.reads_origin:
        raise UserError("trains=fusion keeps origins, which this fusion does not read: give a run of model=origin")
    made_by = Fingerprint.of(system)
    _check_kept(output, made_by, config.trains, drawing)
    made, kept = 0, 0
    with shown_progress("colouring spans", len(films) * spans, "spans") as show:
        for done, (name, path, number) in enumerate(((*film, n) for film in films.items() for n in range(spans)), 1):
            target = output / f"{name}_{number}{SUFFIX}"
            if target.exists():
                kept += 1
            elif found := _read_span(path, drawing, drawing.generator(name, number), first=number == 0):
                numbers, lab = found
                frames = colour(system, lab.to(device), number)
                write_span(target, frames, name, _kept_numbers(numbers, len(frames.luma)), made_by, str(drawing))
                made += 1
            show(done)
    if not made + kept:
        raise UserError(f"no film of {config.source or 'made ones'} has a span: give others, or a lower length")
    print(f"{made} spans made, {kept} were there, {len(films) * spans - made - kept} left out: {output}")


@torch.inference_mode()
def colour_forward(system: FlowChroma, lab: Tensor, number: int = 0) -> SignalFrames:
    """Colour a span from its first frame.

    Args:
        system: the networks.
        lab: (N, 3, H, W), CIELAB, of at least three frames.
        number: of the span; where it is odd the last frame is a reference too.

    Returns:
        The signals of all frames but the first, and but the last where it is a reference; on the CPU, in half
        precision.
    """
    ends = (0, len(lab) - 1) if number % 2 else (0,)
    known = {place: Known(lab[None, place, 1:]) for place in ends}
    references = [lab[None, None, place] for place in ends]
    kept = []
    for place, frame in enumerate(roll_out(system, (lab[n : n + 1, :1] for n in range(len(lab))), references, known)):
        if frame.signals is not None:
            one = SignalFrames.of(frame.signals, lab[place : place + 1, 1:])
            kept.append(one.map(lambda _, value: value.half().cpu()))
    return SignalFrames.join(kept)


@torch.inference_mode()
def colour_both_ways(system: FlowChroma, lab: Tensor, number: int = 0) -> TwoSidedFrames:
    """Colour a span from its first and last frame, forward and backward.

    Args:
        system: the networks.
        lab: (N, 3, H, W), CIELAB, of at least three frames.
        number: of the span; it changes nothing.

    Returns:
        What was found for the N - 2 frames between, on the CPU, in half precision.
    """
    forward = _found(system, lab, range(len(lab)), _whole_estimate)
    backward = _found(system, lab, range(len(lab) - 1, -1, -1), _estimate)[::-1]
    both = zip(forward, backward, strict=True)
    found = [there | {f"backward_{name}": value for name, value in back.items()} for there, back in both]
    tensors: dict[str, Any] = {name: torch.cat([one[name] for one in found]) for name in found[0]}
    inner = lab[1:-1].half().cpu()
    place = torch.arange(1, len(lab) - 1) / (len(lab) - 1)
    return TwoSidedFrames(luma=inner[:, :1], true_ab=inner[:, 1:], position=place.half(), **tensors)


def _found(
    system: FlowChroma, lab: Tensor, order: range, kept: Callable[[FlowChroma, ColouredFrame], dict[str, Tensor]]
) -> list[dict[str, Tensor]]:
    """What is `kept` of each frame but the first and the last, in an order."""
    ends = [lab[None, None, number] for number in (0, len(lab) - 1)]
    known = {place: Known(lab[order[place]][None, 1:]) for place in (0, len(lab) - 1)}
    frames = roll_out(system, (lab[number : number + 1, :1] for number in order), ends, known)
    return [
        {name: value.half().cpu() for name, value in kept(system, frame).items()}
        for place, frame in enumerate(frames)
        if place not in known
    ]


def _estimate(system: FlowChroma, frame: ColouredFrame) -> dict[str, Tensor]:
    estimate = Estimate.propagated(frame, system.fusion.error_model)
    return {"ab": estimate.ab, "error": estimate.error}


def _whole_estimate(system: FlowChroma, frame: ColouredFrame) -> dict[str, Tensor]:
    assert frame.signals is not None
    match = frame.signals.match.finest
    own = {f"forward_{name}": value for name, value in _estimate(system, frame).items()}
    return {**own, "match_ab": match.ab, "similarity": match.similarity, "difference": match.difference}


def _made_film(seed: int, drawing: Drawing) -> tuple[str, SampleFilm]:
    """A film made of photographs, under a name that tells its split: the two splits share no photograph."""
    split = "val" if seed % _MADE_FOR_ONE_HELD_OUT == 1 else "train"
    frames, size = (drawing.length[1] - 1) * drawing.stride[1] + 1, (drawing.size, drawing.size * 16 // 9 // 2 * 2)
    return f"{MADE}/{split}/{seed}", SampleFilm(seed, frames, size, split, motion=1 / drawing.stride[1])


def _open(source: Path | SampleFilm) -> OpenedFilm | SampleFilm:
    return source if isinstance(source, SampleFilm) else open_film(source)


def _read_span(
    source: Path | SampleFilm, drawing: Drawing, rng: np.random.Generator, first: bool
) -> tuple[range, Tensor] | None:
    """Draw a span without a cut and read it, (N, 3, H, W) in CIELAB; None, and the `first` time a line, without one."""
    try:
        film = _open(source)
        for _ in range(_ATTEMPTS):
            numbers = drawing.draw(rng, len(film))
            if numbers is None:
                raise UserError(f"{source} has {len(film)} frames, too few for a span of {drawing.length[0]}")
            lab = torch.cat([shrink(rgb_to_lab(to_tensor(frame)), drawing.size) for frame in film.read(numbers)])
            if not ops.is_cut(lab[1:, :1], lab[:-1, :1]).any():
                return numbers, lab
        raise UserError(f"{source} has a cut in every span that was drawn")
    except UserError as error:
        if first:
            print(f"flowchroma: left out: {error}", file=sys.stderr)
        return None


def _films(source: str) -> dict[str, Path]:
    """The films of what was typed, by name."""
    found: dict[str, Path] = {}
    for part in parts_of(source):
        path = Path(part).expanduser()
        films = find_films(path) if path.is_dir() else {path.stem: path}
        if not path.exists():
            raise UserError(f"nothing at {path}: give a film, a folder of frames, or a folder of these as source")
        if not films:
            raise UserError(f"no film and no folder of frames lies under {path}: give another source")
        if shared := sorted(found.keys() & films.keys()):
            raise UserError(f"two films are named {shared[0]}: give them one by one, each with another output")
        found |= films
    return found


_COLOURING: dict[str, Callable[[FlowChroma, Tensor, int], KeptFrames]] = {
    SignalFrames.trains: colour_forward,
    TwoSidedFrames.trains: colour_both_ways,
}


def _kept_numbers(numbers: range, kept: int) -> range:
    """Of the frames of a span those that are kept: the first is given."""
    return numbers[1 : 1 + kept]


def _check_kept(output: Path, made_by: Fingerprint, trains: str, drawing: Drawing) -> None:
    """Refuse a folder of what other networks found, of what is kept for another part, or of spans drawn otherwise."""
    for path in sorted(output.rglob(f"*{SUFFIX}")):
        span = open_span(path)
        if span.made_by != made_by:
            raise UserError(f"{output} holds rollouts of other networks: give another output, or their checkpoint")
        if span.trains != trains:
            raise UserError(f"{output} holds rollouts that train the {span.trains}: give another output")
        if span.drawn != str(drawing):
            raise UserError(f"{output} holds spans of {span.drawn or 'other options'}: give these, or another output")


def _whole(config: DictConfig, option: str, least: int) -> int:
    value = config[option]
    if not _is_whole(value, least):
        raise UserError(f"{option} must be a whole number from {least} on, not {value}", code=2)
    return value


def _pair(config: DictConfig, option: str, least: int) -> tuple[int, int]:
    value: Any = config[option]
    pair: Any = OmegaConf.to_container(value) if OmegaConf.is_list(value) else [value, value]
    if len(pair) != 2 or not all(_is_whole(one, least) for one in pair) or pair[0] > pair[1]:
        raise UserError(f"{option} must be two whole numbers from {least} on, the lower first, not {value}", code=2)
    return pair[0], pair[1]


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least

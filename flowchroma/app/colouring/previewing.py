"""A part of a film's frames, small, in which it is seen quickly how the film will look."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.colouring.choices import shots_of
from flowchroma.app.colouring.pictures import Picture, Pictures
from flowchroma.files.spool import Spool
from flowchroma.film import OpenedFilm
from flowchroma.film.encoding_settings import frame_rate
from flowchroma.film.excerpt import Excerpt
from flowchroma.film.streams import left_behind
from flowchroma.film.targets import refuse_overwriting, target_of
from flowchroma.film.video import VideoFile
from flowchroma.plans import Plan, Shot

_EVERY = 12  # frames of the film for one of the preview
_COMPUTED, _SHOWN = 112, 240  # short sides in pixels, at most


def preview_options(config: DictConfig) -> DictConfig:
    """The options of a preview's colouring, by those of its film's."""
    return OmegaConf.merge(config, {"size": min(config.size, _COMPUTED), "report": False})  # type: ignore[return-value]


def preview_of(
    film: OpenedFilm, pictures: Pictures, config: DictConfig, span: tuple[int, int], plan: Plan | None
) -> tuple[Excerpt, list[Shot], Pictures]:
    """Frames taken evenly from each shot, and all keyframes; the shots and the pictures by the numbers of these.

    Raises:
        UserError: The output cannot be written, which is said before cuts are looked for.
    """
    target, container = target_of(str(config.output))
    refuse_overwriting(target, container, film, config.overwrite)
    for line in left_behind(film, "a preview") if isinstance(film, VideoFile) else []:
        warnings.warn(line, stacklevel=1)
    shots = shots_of(film, None, config, span, plan)
    keyframes = {n: picture for n, picture in pictures.keyframes.items() if span[0] <= n < span[1]}
    part = Excerpt(film, sorted({*_evenly(shots), *keyframes}), span[1], _SHOWN, frame_rate(config.fps))
    moved = [
        replace(shot, start=part.number_of(shot.start), stop=part.number_of(shot.stop), head=0, tail=0)
        for shot in shots
    ]
    small = {n: _shrunk(picture, part.size, pictures.spool) for n, picture in pictures.keyframes.items()}
    others = [picture for n, picture in small.items() if n not in keyframes]  # of frames outside the span
    shown = {id(picture): small[n] for n, picture in pictures.keyframes.items()}
    of_shots = {
        part.number_of(start): [shown.get(id(picture), picture) for picture in given]
        for start, given in pictures.of_shots.items()
        if start in {shot.start for shot in shots}
    }
    references, given = [*pictures.references, *others], {part.number_of(n): small[n] for n in keyframes}
    return part, moved, Pictures(pictures.spool, references, given, of_shots)


def _evenly(shots: Sequence[Shot]) -> list[int]:
    """The first frame of each shot, and others in equal steps."""
    numbers = []
    for shot in shots:
        length = shot.stop - shot.start
        count = max(1, round(length / _EVERY))
        numbers += [shot.start + length * step // count for step in range(count)]
    return numbers


def _shrunk(picture: Picture, size: tuple[int, int], spool: Spool) -> Picture:
    import cv2

    rgb, valid = cv2.resize(picture.rgb, size[::-1], interpolation=cv2.INTER_AREA), picture.valid
    if valid is not None:
        valid = cv2.resize(valid.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return Picture(spool, rgb, valid)

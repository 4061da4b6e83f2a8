"""The coloured pictures that the options name."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from flowchroma.app.options import named_references
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import lay_over, to_array, to_tensor
from flowchroma.errors import UserError
from flowchroma.files.spool import Spool
from flowchroma.film import OpenedFilm, read_reference, shown_frame
from flowchroma.plans.keyframes import Keyframe, fitted_one_by_one, keyframe_files
from flowchroma.plans.plan_file import Plan, still_name
from flowchroma.plans.plan_reading import still_files

_TONES = 1.0  # of 255 on average: less is rounding


class Picture:
    """A coloured picture, on the disk: those of a long film do not fit into memory.

    Args:
        spool: Where it is kept.
        rgb: (h, w, 3) uint8, of any size; of a keyframe that of the film.
        valid: (H, W), bool: where it shows what its frame does; None for everywhere.
    """

    def __init__(self, spool: Spool, rgb: np.ndarray, valid: np.ndarray | None = None) -> None:
        self._rgb, self._valid = spool.keep(rgb), None if valid is None else spool.keep(valid)
        digest = hashlib.sha256(repr((rgb.shape, valid is None)).encode())
        digest.update(np.ascontiguousarray(rgb).data)
        digest.update(b"" if valid is None else np.ascontiguousarray(valid).data)
        self.hash = digest.hexdigest()[:16]  # other pictures have others

    @property
    def rgb(self) -> np.ndarray:
        """The picture, read anew."""
        return self._rgb()

    @property
    def valid(self) -> np.ndarray | None:
        """Where it shows what its frame does, read anew."""
        return self._valid() if self._valid else None


@dataclass(frozen=True)
class Pictures:
    """What a film takes its colours from."""

    spool: Spool  # where they are kept
    references: Sequence[Picture]  # of something else
    keyframes: Mapping[int, Picture]  # of the film's frames, by number
    of_shots: Mapping[int, Sequence[Picture]] = field(default_factory=dict)  # a plan's references, by a shot's start

    @property
    def hash(self) -> str:
        """Of all of them."""
        told = [(number, picture.hash) for number, picture in sorted(self.keyframes.items())]
        return hash_of(told, [picture.hash for picture in self.references])


def read_pictures(config: DictConfig, film: OpenedFilm) -> Pictures:
    """Read references and keyframes.

    Raises:
        UserError: there are none, or one of them cannot be used.
    """
    spool = Spool()
    references: list[Picture] = []
    keyframes: dict[int, Picture] = {}
    if config.keyframes:
        named = keyframe_files(str(config.keyframes), film)
        references, keyframes = _told_apart(fitted_one_by_one(named, film), film, spool)
    if config.reference is not None or not config.keyframes:
        for name in named_references(str(config.reference or "first")):
            rgb, frame = read_reference(name, film)
            if frame is None:
                references.append(Picture(spool, rgb))
            elif frame in keyframes:
                raise UserError(f"frame {frame} is given by reference={name} and by a keyframe: leave one of them out")
            else:
                keyframes[frame] = Picture(spool, rgb)
    return Pictures(spool, references, keyframes)


def read_planned(
    folder: Path,
    plan: Plan,
    film: OpenedFilm,
    fitted: Callable[[Mapping[int, Path], OpenedFilm], Iterable[Keyframe]] = fitted_one_by_one,
) -> Pictures:
    """Read the pictures of a plan.

    Args:
        folder: The plan's.
        plan: What it says.
        film: The film that it is of.
        fitted: Reads and fits its stills; another function than `fitted_one_by_one` may remember those of before.

    Raises:
        UserError: there are none, or one of them cannot be used.
    """
    spool = Spool()
    references: list[Picture] = []
    keyframes: dict[int, Picture] = {}
    if plan.stills:
        references, keyframes = _told_apart(fitted(still_files(folder, plan, film), film), film, spool)
    others = {path: Picture(spool, read_reference(str(path), film)[0]) for path in plan.others}
    if not (references or keyframes or others):
        raise UserError(f"the plan {folder} has neither stills nor references: run the plan again, or add some")
    stills = {folder / still_name(number): picture for number, picture in keyframes.items()}
    named = {path.absolute(): picture for path, picture in (others | stills).items()}
    of_shots = {
        shot.start: [named[path.absolute()] for path in shot.references if path.absolute() in named]
        for shot in plan.shots
    }
    return Pictures(spool, [*references, *others.values()], keyframes, of_shots)


def hash_of(*told: object) -> str:
    """A hash of whatever has a text of its own, of letters and digits."""
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _told_apart(found: Iterable[Keyframe], film: OpenedFilm, spool: Spool) -> tuple[list[Picture], dict[int, Picture]]:
    """Plain references, and keyframes, of the pictures of frames."""
    references, keyframes = [], {}
    for keyframe in found:
        if keyframe.fit and keyframe.fits:
            valid = keyframe.fit.valid
            rgb = _in_the_film_s_tones(keyframe.rgb, valid, shown_frame(film, keyframe.frame))
            keyframes[keyframe.frame] = Picture(spool, rgb, None if valid.all() else valid)
        else:
            references.append(Picture(spool, keyframe.rgb))
    return references, keyframes


def _in_the_film_s_tones(rgb: np.ndarray, valid: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """A keyframe's colour over its frame's luminance, by which frames find it; as it is where it shows something else.

    Args:
        rgb: The keyframe, (H, W, 3) uint8.
        valid: (H, W), bool: where it shows what its frame does.
        frame: The film's, (H, W, 3) uint8.
    """
    import cv2

    other = cv2.absdiff(*(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (rgb, frame)))
    if not valid.any() or other[valid].mean() < _TONES:
        return rgb
    luma, ab = rgb_to_lab(to_tensor(frame))[:, :1], rgb_to_lab(to_tensor(rgb))[:, 1:]
    return np.where(valid[:, :, None], to_array(lay_over(luma, ab)), rgb)

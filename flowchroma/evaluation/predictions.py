"""Frames coloured elsewhere, checked before they are scored."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from flowchroma.errors import UserError
from flowchroma.evaluation.protocol import Protocol
from flowchroma.film import Film, open_film
from flowchroma.film.references import has_colour
from flowchroma.film.suffixes import FILM_SUFFIXES


class Predictions:
    """Coloured frames on disk, as `FOLDER/CLIP/*.png` or `FOLDER/CLIP.mp4`, in the place of a `Painter`.

    A folder of frames may leave out those whose colour is given. Frames are matched by the original's file names where
    both have such, by their order else.

    Args:
        folder: holds the clips; or is itself the clip, where the set has but one.
        original: the clip that was coloured.
        protocol: says which frames there must be, and of what size.
        alone: whether the set has this clip only.

    Raises:
        UserError: the clip is not there, has too few or too many frames, or another size.
    """

    def __init__(self, folder: Path, original: Film, protocol: Protocol, alone: bool = False) -> None:
        self.path = find_clip(folder, original.name, alone)
        self.film = open_film(self.path)
        self.order = _order(self.film, original, protocol)
        size = protocol.resize or original.size
        if self.film.size != size:
            height, width = self.film.size
            wanted = f"{size[1]} x {size[0]}"
            raise UserError(f"{self.path} has frames of {width} x {height}, and {wanted} are scored: write them so")
        self.gray: list[int] = []
        self._next = 0
        self._stream: Iterator | None = None if self.film.files else iter(self.film)

    def start(self, *references: Tensor) -> None:
        """Needs no reference."""

    def observe(self, rgb: Tensor) -> None:
        """Pass over the frame."""
        if self._stream is not None:
            next(self._stream, None)
        self._next += 1

    def paint(self, rgb: Tensor) -> Tensor:
        """The next frame, (1, 3, H, W) uint8, on the device of `rgb`; a `UserError` where it cannot be read."""
        if self._stream is not None:
            frame = next(self._stream, None)
            if frame is None:
                raise UserError(f"{self.path} ends before frame {self._next}: write it again")
        else:
            frame = self.film.read([self.order[self._next]])[0]
        if not has_colour(frame):
            self.gray.append(self._next)
        self._next += 1
        return torch.from_numpy(frame.copy()).to(rgb.device).permute(2, 0, 1)[None].contiguous()

    def notices(self) -> list[str]:
        """What a reader of the figures should know of these frames."""
        if not self.gray:
            return []
        some = ", ".join(map(str, self.gray[:3])) + (" and more" if len(self.gray) > 3 else "")
        return [f"{self.path}: {len(self.gray)} of its frames are gray ({some}); scored as they are"]


def find_clip(folder: Path, name: str, alone: bool) -> Path:
    """Where a clip's predictions are; a `UserError` for nowhere, or two places."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: predictions=FOLDER holds a folder of frames or a film a clip")
    place = folder / Path(name).parent
    stem = Path(name).name
    files = sorted(p for p in place.iterdir() if p.is_file() and p.stem == stem) if place.is_dir() else []
    found = [p for p in files if p.suffix.lower() in FILM_SUFFIXES]
    found += [folder / name] if (folder / name).is_dir() else []
    if len(found) > 1:
        raise UserError(f"{folder} has the clip {name} twice, as {found[0].name} and {found[1].name}: leave one there")
    if found or files:
        return (found or files)[0]
    if alone and any(p.is_file() for p in folder.iterdir()):
        return folder
    raise UserError(f"{folder} has nothing for the clip {name}: looked for the folder {name} and for {name}.mp4")


def _order(film: Film, original: Film, protocol: Protocol) -> Sequence[int]:
    """Which of the film's frames stands for each of the original's that count."""
    path = film.path or film.name
    frames = range(protocol.length(len(original)))
    scored = protocol.scored(original)
    own, theirs = ([file.stem for file in f.files] for f in (film, original))
    if double := next((stem for stem, other in pairwise(sorted(own)) if stem == other), None):
        raise UserError(f"{path} has the frame {double} twice, in files of two kinds: leave one there")
    if own and theirs and set(own) & set(theirs):
        place = {stem: index for index, stem in enumerate(own)}
        if missing := [theirs[frame] for frame in scored if theirs[frame] not in place]:
            raise UserError(f"{path} lacks the frame {missing[0]} ({len(missing)} of {len(scored)} missing)")
        if extra := sorted(set(own) - set(theirs)):
            raise UserError(f"{path} has the frame {extra[0]}, which the original has not: remove what is not its own")
        if len(own) == len(frames) and theirs[0] not in place:
            raise UserError(f"{path} has {own[0]} to {own[-1]}, one frame too late: the original begins at {theirs[0]}")
        return [place.get(theirs[frame], -1) for frame in frames]
    if own and len(film) == len(scored):
        _check_numbers(path, own, scored)
        place_of = {frame: index for index, frame in enumerate(scored)}
        return [place_of.get(frame, -1) for frame in frames]
    if len(film) not in (len(frames), len(original)):
        fit = f"{len(original)}, or the {len(scored)} that are scored" if own else f"{len(original)}"
        raise UserError(f"{path} has {len(film)} frames, and the original {fit}: write one for each")
    return list(frames)


def _check_numbers(path: object, stems: Sequence[str], scored: Sequence[int]) -> None:
    """Refuse as many frames as are scored whose numbers are not theirs, from 0 or 1 on: they may be all but some."""
    numbers = [int(found[-1]) for stem in stems if (found := re.findall("[0-9]+", stem))]
    wanted = [[frame + start for frame in scored] for start in (0, 1)]
    if len(numbers) == len(stems) and numbers not in (*wanted, list(range(1, len(stems) + 1))):
        raise UserError(
            f"{path} has {len(stems)} frames, as many as are scored, but {stems[0]} to {stems[-1]} are not numbered as "
            "these: write every frame, or name them as the original's"
        )

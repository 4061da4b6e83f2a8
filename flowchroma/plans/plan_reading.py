"""A plan as people have edited it, with the line of whatever is wrong in it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from flowchroma.errors import UserError
from flowchroma.film.film import Film
from flowchroma.film.suffixes import FRAME_SUFFIXES
from flowchroma.plans.keyframes import keyframe_files
from flowchroma.plans.plan_file import FILE, FilmIdentity, Plan, PlannedShot, still_name

_Value = TypeVar("_Value")
_FILM = ("path", "name", "bytes", "frames", "size")
_SHOT = ("frames", "stills", "references", "keep_colour")


def read_plan(folder: str | Path, film: Film | None = None, pictures: bool = True) -> Plan:
    """Read the plan in a folder.

    Args:
        folder: What `python -m flowchroma.plan` wrote, plan.yaml edited or not.
        film: The film that it must be of; None takes any.
        pictures: Whether every still must have its picture, and every reference must be there.

    Raises:
        UserError: There is none, it is another film's, or something in it is wrong, with its line and key.
    """
    folder = Path(folder).expanduser()
    path = folder / FILE
    root = _compose(path)
    reader = _Reader(path)
    parts = reader.mapping(root, "the plan", ("film", "shots"), ("film", "shots"))
    identity = _film(reader, parts["film"])
    if film is not None and not identity.is_same(FilmIdentity.of(film)):
        raise UserError(
            f"{path} is the plan of {identity.name}, with {identity.frames} frames and {identity.bytes} bytes, and not"
            f" of {film.path or film.name}: give the film that it was made of, or make a plan of this one"
        )
    shots = _shots(reader, parts["shots"], identity.frames, folder)
    if pictures:
        _check_pictures(reader, parts["shots"], shots, folder, film)
    return Plan(identity, shots)


def still_files(folder: str | Path, plan: Plan, film: Film) -> dict[int, Path]:
    """The pictures of a plan's stills, by frame number."""
    named = keyframe_files(folder, film, skip=plan.others)
    return {still: named[still] for still in plan.stills}


def _compose(path: Path) -> Node:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"no plan at {path}: make one with python -m flowchroma.plan, or check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UserError(f"cannot read {path}: {reason}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: {error.problem or error.context}; mend the line") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}; mend it") from error
    if root is None:
        raise UserError(f"{path} is empty: make the plan anew with python -m flowchroma.plan")
    return root


class _Reader:
    """Values of nodes; what is none of the kind wanted is a `UserError` with line and key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wrong(self, node: Node, what: str) -> UserError:
        return UserError(f"{self.path}, line {node.start_mark.line + 1}: {what}")

    def mapping(self, node: Node, name: str, known: Sequence[str], needed: Collection[str]) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            raise self.wrong(node, f"{name} must have {', '.join(known)}, each as key: value")
        found: dict[str, Node] = {}
        for key, value in node.value:
            word = key.value if isinstance(key, ScalarNode) else "?"
            if word not in known:
                raise self.wrong(key, f"unknown key {word!r} in {name}: it has {', '.join(known)}")
            if word in found:
                raise self.wrong(key, f"{word} stands twice in {name}: keep one of them")
            found[word] = value
        for word in known:
            if word in needed and word not in found:
                raise self.wrong(node, f"{name} has no {word}: add it")
        return found

    def items(self, node: Node, key: str, item: Callable[[Node, str], _Value]) -> list[_Value]:
        if not isinstance(node, SequenceNode):
            raise self.wrong(node, f"{key} must be a list in brackets, such as [0, 60], or [] for none")
        return [item(one, key) for one in node.value]

    def whole(self, node: Node, key: str) -> int:
        # YAML takes 000240, as files are named, for octal.
        if not (isinstance(node, ScalarNode) and node.value.isascii() and node.value.isdigit()):
            shown = node.value if isinstance(node, ScalarNode) else "a list"
            raise self.wrong(node, f"{key} must be whole numbers from 0 on, not {shown}")
        return int(node.value)

    def text(self, node: Node, key: str) -> str:
        if not isinstance(node, ScalarNode):
            raise self.wrong(node, f"{key} must be text in quotes")
        return str(node.value)

    def flag(self, node: Node, key: str) -> bool:
        if not isinstance(node, ScalarNode) or node.value.lower() not in ("true", "false"):
            raise self.wrong(node, f"{key} must be true or false")
        return node.value.lower() == "true"

    def pair(self, node: Node, key: str) -> tuple[int, int]:
        found = self.items(node, key, self.whole)
        if len(found) != 2:
            raise self.wrong(node, f"{key} must be two numbers in brackets, such as [0, 119]")
        return found[0], found[1]


def _film(reader: _Reader, node: Node) -> FilmIdentity:
    parts = reader.mapping(node, "film", _FILM, _FILM)
    path, name = (reader.text(parts[key], key) for key in ("path", "name"))
    size, frames = (reader.whole(parts[key], key) for key in ("bytes", "frames"))
    return FilmIdentity(path, name, size, frames, reader.pair(parts["size"], "size"))


def _shots(reader: _Reader, node: Node, frames: int, folder: Path) -> tuple[PlannedShot, ...]:
    if not isinstance(node, SequenceNode) or not node.value:
        raise reader.wrong(node, "shots must be a list: one - frames: [0, 119] for each shot")
    shots: list[PlannedShot] = []
    for one in node.value:
        shots.append(_shot(reader, one, shots[-1].stop if shots else 0, frames, folder))
    if shots[-1].stop < frames:
        raise reader.wrong(
            node.value[-1],
            f"the shots leave out {_span(shots[-1].stop, frames)}: the last one must end at {frames - 1}",
        )
    return tuple(shots)


def _shot(reader: _Reader, node: Node, due: int, frames: int, folder: Path) -> PlannedShot:
    """One shot, of which the first frame must be `due`."""
    parts = reader.mapping(node, "a shot", _SHOT, ("frames",))
    first, last = reader.pair(parts["frames"], "frames")
    shown = f"frames [{first}, {last}]"
    if last < first:
        raise reader.wrong(parts["frames"], f"{shown} end before they begin: give the first frame, then the last")
    if last >= frames:
        raise reader.wrong(parts["frames"], f"{shown} go on after the film's end: its frames are 0 to {frames - 1}")
    if first < due:
        raise reader.wrong(parts["frames"], f"{shown} overlap the shot before, which ends at {due - 1}: begin at {due}")
    if first > due:
        raise reader.wrong(parts["frames"], f"{shown} leave out {_span(due, first)}: begin at {due}")
    stills = _stills(reader, parts, first, last)
    references = reader.items(parts["references"], "references", reader.text) if "references" in parts else []
    keep = reader.flag(parts["keep_colour"], "keep_colour") if "keep_colour" in parts else False
    pictures = tuple(folder / Path(reference).expanduser() for reference in references)
    return PlannedShot(first, last + 1, stills, pictures, keep)


def _stills(reader: _Reader, parts: Mapping[str, Node], first: int, last: int) -> tuple[int, ...]:
    if "stills" not in parts:
        return ()
    stills = reader.items(parts["stills"], "stills", reader.whole)
    for still, node in zip(stills, parts["stills"].value, strict=True):
        if not first <= still <= last:
            raise reader.wrong(node, f"stills: {still} is not in its shot, whose frames are {first} to {last}")
        if stills.count(still) > 1:
            raise reader.wrong(node, f"stills: {still} stands twice, keep one of them")
    return tuple(sorted(stills))


def _check_pictures(reader: _Reader, node: Node, shots: Sequence[PlannedShot], folder: Path, film: Film | None) -> None:
    """Refuse stills without a picture, under its frame's number or timecode, and references that are not there."""
    others = [path for shot in shots for path in shot.references if not path.stem.isdigit()]
    there = _pictures(folder, film, others) if any(shot.stills for shot in shots) else set()
    for one, shot in zip(node.value, shots, strict=True):
        parts = {key.value: value for key, value in one.value}
        for still in shot.stills:
            if still not in there:
                raise reader.wrong(
                    parts["stills"],
                    f"stills: {still} has no picture {still_name(still)} in {folder}: put it there, take {still} out,"
                    " or run the plan again",
                )
        for at, path in enumerate(shot.references):
            if not path.is_file():
                raise reader.wrong(parts["references"].value[at], f"references: no picture at {path}: check the path")


def _pictures(folder: Path, film: Film | None, skip: Collection[Path]) -> set[int]:
    files = [file for file in folder.iterdir() if file.suffix.lower() in FRAME_SUFFIXES]
    if film is not None and files:
        return set(keyframe_files(folder, film, skip=skip))
    return {int(file.stem) for file in files if file.stem.isascii() and file.stem.isdigit()}


def _span(first: int, stop: int) -> str:
    return f"frame {first}" if stop - first == 1 else f"frames {first} to {stop - 1}"

"""The shots of a film in a file, so that it is looked through once."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically
from flowchroma.film.film import FileState, Film
from flowchroma.plans.shots import Shot

_FILE = "shots.json"
_METHOD = 1  # to be raised when shots are found otherwise
_KINDS = {name: type(value) for name, value in asdict(Shot(0, 1)).items()}


def save_shots(folder: Path, film: Film, shots: list[Shot]) -> None:
    """Write `shots.json` into a working folder, which is made if it is not there.

    Raises:
        UserError: It cannot be written.
    """
    text = json.dumps({"film": _identity(film), "shots": [asdict(shot) for shot in shots]}, indent=1)
    try:
        write_atomically(folder / _FILE, text + "\n")
    except OSError as error:
        raise UserError(
            f"cannot write {folder / _FILE}: {error.strerror or error}; choose another folder or make room"
        ) from error


def load_shots(folder: Path, film: Film) -> list[Shot] | None:
    """Read the shots that were saved of this film.

    Returns:
        Them, or None where none were saved, or the file is damaged, of another film, of an older version of this one or
        of another method: the film is then to be looked through anew.

    Raises:
        UserError: The film cannot be read.
    """
    try:
        held = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(held, dict) or held.get("film") != _identity(film):
        return None
    return _shots(held.get("shots"), len(film))


def _identity(film: Film) -> dict[str, Any]:
    """What tells a film from another, and from itself once it is changed."""
    state = FileState.of(film)
    return {
        "method": _METHOD,
        "name": film.path.name if film.path else film.name,
        "bytes": state.size,
        "modified": state.modified,
        "frames": len(film),
    }


def _shots(rows: object, frames: int) -> list[Shot] | None:
    """Shots of rows that hold every frame once; None of others."""
    if not isinstance(rows, list):
        return None
    if not all(isinstance(row, dict) and {name: type(value) for name, value in row.items()} == _KINDS for row in rows):
        return None
    shots = [Shot(**row) for row in rows]
    ends = [0, *(shot.stop for shot in shots)]
    whole = [shot.start for shot in shots] == ends[:-1] and ends[-1] == frames
    return shots if whole and all(shot.start < shot.stop for shot in shots) else None

"""What stills are expected to win, in a file of the plan's folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically

PLANNED = "gains.json"  # of the stills of a plan
PROPOSED = "proposed.json"  # of those that colouring by it proposes


def write_gains(path: Path, gains: Mapping[int, float]) -> None:
    """Write what each still takes off the expected error, in CIELAB units, mean over the film, by frame number.

    Raises:
        UserError: It cannot be written.
    """
    text = json.dumps({str(still): round(gain, 4) for still, gain in gains.items()})
    try:
        write_atomically(path, f"{text}\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; make room") from error


def read_gains(path: Path) -> dict[int, float]:
    """What `write_gains` wrote, in its order; nothing where it is missing or damaged."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return {int(still): float(gain) for still, gain in held.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

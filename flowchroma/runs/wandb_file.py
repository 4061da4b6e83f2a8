"""What wandb kept of a run without a network: its .wandb file."""

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The file is a log as LevelDB's (its document "Log format"): blocks of 32 KiB, in them records with a header of
# checksum (4), length (2) and type (1); a record that does not fit goes on in the next block. Seven bytes stand before.
_BLOCK, _HEADER, _LEAD = 32768, 7, b":W&B"
_FULL, _FIRST, _LAST = 1, 2, 4


def read_wandb(folder: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Curves, metric -> steps and values, of the offline runs in a run's `wandb/`, the newest over the others.

    Empty where there is no such file, wandb is not installed, or it cannot be read.
    """
    points: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("*run-*/*.wandb")):
        for row in _history(path):
            step = row.get("trainer/global_step", row.get("_step"))
            for name, value in row.items():
                if _drawn(name, value) and isinstance(step, int | float):
                    points.setdefault(name, {})[int(step)] = float(value)
    return {name: (sorted(found), [found[step] for step in sorted(found)]) for name, found in points.items()}


def _drawn(name: str, value: Any) -> bool:
    if name.startswith("_") or name in ("epoch", "trainer/global_step"):
        return False
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _history(path: Path) -> Iterator[dict[str, Any]]:
    try:
        from google.protobuf.message import DecodeError
        from wandb.proto import wandb_internal_pb2
    except ImportError:
        return
    for data in records(path.read_bytes()):
        record: Any = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        try:
            record.ParseFromString(data)
        except DecodeError:
            return  # the file was cut off here
        if record.HasField("history"):
            # A name of several parts is one of a picture's, such as its width.
            named = [(item.key or "".join(item.nested_key[:1]), item) for item in record.history.item]
            yield {name: json.loads(item.value_json) for name, item in named if len(item.nested_key) < 2}


def records(content: bytes) -> Iterator[bytes]:
    """The records of such a file, as far as it goes."""
    if not content.startswith(_LEAD):
        return
    at, parts = _HEADER, b""
    while at + _HEADER <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:  # filled up
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        data = content[at + _HEADER : at + _HEADER + length]
        if kind == 0 or len(data) < length:
            return
        at += _HEADER + length
        parts = data if kind in (_FULL, _FIRST) else parts + data
        if kind in (_FULL, _LAST):
            yield parts

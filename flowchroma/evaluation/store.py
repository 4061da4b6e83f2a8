"""Scores on disk, a file a method and clip, so that a second run goes on where the first stopped."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from flowchroma.errors import UserError
from flowchroma.evaluation.scoring import Score


class Store:
    """The folder that an evaluation writes to; several processes may share it.

    Args:
        folder: made if it is not there.
        protocol: what all figures in it have in common.

    Raises:
        UserError: the folder holds figures of another protocol, or cannot be written.
    """

    def __init__(self, folder: Path, protocol: Mapping[str, Any]) -> None:
        self.folder = folder
        place = folder / "scores" / "protocol.json"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{place}.lock"):
                if not place.exists():
                    _write(place, json.dumps(protocol, indent=1))
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
        there = _read(place)
        if differing := [key for key in {**there, **protocol} if there.get(key) != protocol.get(key)]:
            key = differing[0]
            raise UserError(
                f"{folder} holds figures with {key}: {there.get(key)}, now it is {protocol.get(key)}: "
                "give another output=, or remove that folder"
            )

    @contextmanager
    def claim(self, clip: str, wait: bool) -> Iterator[bool]:
        """Hold a clip against other processes; whether it was had. A process that dies lets go of what it holds."""
        lock = FileLock(self._place("locks", clip, ".lock"))
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def get(self, method: str, clip: str, identity: str | None) -> Score | None:
        """A method's score of a clip; None if it was not scored, or by another `identity` than the one given."""
        path = self._place(method, clip, ".json")
        kept = _read(path) if path.is_file() else {}
        if not kept or (identity is not None and kept.pop("identity") != identity):
            return None
        kept.pop("identity", None)
        return Score(**kept)

    def put(self, method: str, clip: str, identity: str, score: Score) -> None:
        """Keep a score."""
        if score.features is not None:
            features = self.features(method, clip)
            side = features.with_suffix(".part.npy")
            np.save(side, score.features)
            side.replace(features)
        kept = {"identity": identity, **{f.name: getattr(score, f.name) for f in fields(score) if f.name != "features"}}
        _write(self._place(method, clip, ".json"), json.dumps(kept))

    def features(self, method: str, clip: str) -> Path:
        """Where a clip's Inception features are, (frames, 2048)."""
        return self._place(method, clip, ".npy")

    def methods(self) -> list[str]:
        """Every method that has scores, in the order of their names."""
        return sorted(p.name for p in (self.folder / "scores").iterdir() if p.is_dir() and p.name != "locks")

    def _place(self, method: str, clip: str, suffix: str) -> Path:
        path = self.folder / "scores" / method / f"{clip}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def identify(facts: Any) -> str:
    """A short name for what a figure depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _write(path: Path, text: str) -> None:
    side = path.with_name(f"{path.name}.part")
    side.write_text(text, encoding="utf-8")
    side.replace(path)


def _read(path: Path) -> dict[str, Any]:
    """What a file of ours holds; nothing if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_constant)
    except ValueError:
        return {}


def _constant(name: str) -> float:
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[name]

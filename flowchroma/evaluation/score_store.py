"""Scores on disk, a file a method and clip, so that a second run goes on where the first stopped."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from flowchroma.errors import UserError
from flowchroma.evaluation.clip_metrics import Score
from flowchroma.evaluation.scoring import TRUTH
from flowchroma.files.atomic import write_atomically

LOCKS = "locks"  # a folder beside those of the methods


class ScoreStore:
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
                    write_atomically(place, json.dumps(protocol, indent=1))
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
        there = _read(place)
        if not there:
            raise UserError(f"{place} is damaged: give another output=, or remove {folder}")
        if differing := [key for key in {**there, **protocol} if there.get(key) != protocol.get(key)]:
            key = differing[0]
            raise UserError(
                f"{folder} holds figures with {key}: {there.get(key)}, now it is {protocol.get(key)}: "
                "give another output=, or remove that folder"
            )

    @contextmanager
    def claim(self, clip: str, wait: bool) -> Iterator[bool]:
        """Hold a clip against other processes; whether it was had. A process that dies lets go of what it holds."""
        lock = FileLock(self._place(LOCKS, clip, ".lock"))
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def get(self, method: str, clip: str, identity: Mapping[str, Any]) -> Score | None:
        """A method's score of a clip; None if it was not scored, or differs in a part of the `identity` given."""
        path = self._place(method, clip, ".json")
        kept = _read(path) if path.is_file() else {}
        own = kept.pop("identity", None)
        if not isinstance(own, dict) or any(own.get(part) != value for part, value in identity.items()):
            return None
        return Score(**kept)

    def put(self, method: str, clip: str, identity: Mapping[str, Any], score: Score) -> None:
        """Keep a score, in the place of an earlier one."""
        if score.features is not None:
            features = self.features(method, clip)
            side = features.with_suffix(".part.npy")
            np.save(side, score.features)
            side.replace(features)
        elif method != TRUTH:  # those of an earlier score are not this one's; the original's stay what they are
            self.features(method, clip).unlink(missing_ok=True)
        kept = {
            "identity": dict(identity),
            **{f.name: getattr(score, f.name) for f in fields(score) if f.name != "features"},
        }
        write_atomically(self._place(method, clip, ".json"), json.dumps(kept))

    def features(self, method: str, clip: str) -> Path:
        """Where a clip's Inception features are, (frames, 2048)."""
        return self._place(method, clip, ".npy")

    def methods(self) -> list[str]:
        """Every method that has scores, in the order of their names."""
        return sorted(p.name for p in (self.folder / "scores").iterdir() if p.is_dir() and p.name != LOCKS)

    def _place(self, method: str, clip: str, suffix: str) -> Path:
        path = self.folder / "scores" / method / f"{clip}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def short_hash(facts: Any) -> str:
    """A short name for what a figure depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fingerprint(path: Path | None) -> str | None:
    """A short name for what a film's files hold, wherever they lie; None for a film that is not on disk."""
    if path is None:
        return None
    digest = hashlib.blake2b(digest_size=8)
    try:
        for file in sorted(f for f in path.iterdir() if f.is_file()) if path.is_dir() else [path]:
            digest.update(os.fsencode(file.name))
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "blake2b").digest())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """What a file of ours holds; nothing if it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}

"""What a report is made from: plain figures, and small pictures on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Still:
    """One frame of one clip, as small JPEG or PNG files."""

    clip: str
    frame: int
    truth: Path  # the original
    predictions: Mapping[str, Path]  # by method, which may lack one
    errors: Mapping[str, Path]  # by method: CIEDE2000 to the original as colour


@dataclass(frozen=True)
class MethodScores:
    """One method's figures, by the keys of `measures.MEASURES`."""

    clips: Mapping[str, Mapping[str, float | None]]  # clip -> measure -> value; None or no key where unavailable
    mean: Mapping[str, float | None]  # measure -> mean over the clips; also what no single clip has (fid)
    seconds_per_frame: float | None = None  # None where no method ran
    # clip -> {"frame": numbers, measure: values}, of equal lengths
    frames: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)  # parameters, checkpoint

    def of(self, clip: str, key: str) -> float | None:
        """A clip's figure, None where there is none."""
        return self.clips.get(clip, {}).get(key)


@dataclass(frozen=True)
class Report:
    """An evaluation.

    Args:
        protocol: What was scored and how, printed in this order. "set", "clips", "reference" or "keyframes" and
            "directions", and "size" stand below the title, and "problems", a list of what could not be scored; "absent"
            maps measures to why they could not be had; "error maps" says how their colours read.
        methods: Scores by the method's name; the order fixes colours.
        stills: In the order shown.
    """

    protocol: Mapping[str, Any]
    methods: Mapping[str, MethodScores]
    stills: Sequence[Still] = ()

    @property
    def clips(self) -> list[str]:
        """Every clip that any method was scored on, in order."""
        return list(dict.fromkeys(clip for scores in self.methods.values() for clip in scores.clips))

    @property
    def keys(self) -> set[str]:
        """Every measure that any method has a place for."""
        tables = [values for scores in self.methods.values() for values in (*scores.clips.values(), scores.mean)]
        return {key for values in tables for key in values}

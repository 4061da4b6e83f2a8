"""A film written by segments, which outlast the process: a job that was killed goes on where it was."""

from flowchroma.film.segments.space import require_space
from flowchroma.film.segments.store import Segment, SegmentStore, open_segments
from flowchroma.film.segments.work import TakenError

__all__ = ["Segment", "SegmentStore", "TakenError", "open_segments", "require_space"]

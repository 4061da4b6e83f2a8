"""What colours a film: the system, its parts alone, and the baselines."""

from flowchroma.colorizers.alone import ChainedDis, Gray, Hold, MatchingAlone, PropagationAlone
from flowchroma.colorizers.painter import Colorizer, Oracle, Painter

__all__ = ["ChainedDis", "Colorizer", "Gray", "Hold", "MatchingAlone", "Oracle", "Painter", "PropagationAlone"]

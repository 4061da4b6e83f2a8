"""What colours a film at its full size: the system, its parts alone, the baselines, and the ceiling."""

from flowchroma.colorizers.baselines import ChainedDis, Gray, Hold
from flowchroma.colorizers.oracle import Oracle
from flowchroma.colorizers.painter import Painter
from flowchroma.colorizers.parts import MatchingAlone, PropagationAlone

__all__ = ["ChainedDis", "Gray", "Hold", "MatchingAlone", "Oracle", "Painter", "PropagationAlone"]

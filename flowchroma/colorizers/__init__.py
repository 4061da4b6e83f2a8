"""What colours a film at its full size: the system, its parts alone, the baselines, and the ceiling."""

from flowchroma.colorizers.baselines import ChainedDis, Gray, Hold
from flowchroma.colorizers.painter import Oracle, Painter, to_array, to_tensor
from flowchroma.colorizers.parts import MatchingAlone, PropagationAlone
from flowchroma.colorizers.shot_painter import ShotPainter

"""Methods scored on whole clips by one protocol, and the report of it."""

from flowchroma.evaluation.collect import collect
from flowchroma.evaluation.judges import Judges, find_judges
from flowchroma.evaluation.predictions import Predictions
from flowchroma.evaluation.protocol import Protocol
from flowchroma.evaluation.runner import Entrant, Evaluation
from flowchroma.evaluation.scoring import score_clip
from flowchroma.evaluation.store import Store, identify

__all__ = [
    "Entrant",
    "Evaluation",
    "Judges",
    "Predictions",
    "Protocol",
    "Store",
    "collect",
    "find_judges",
    "identify",
    "score_clip",
]

"""Flow that carries colour from frame to frame."""

from flowchroma.models.memflow.network import MemFlow

__all__ = ["MemFlow"]

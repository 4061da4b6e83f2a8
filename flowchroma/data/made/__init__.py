"""Generated films with exact flow: planes textured with photographs (`sample`) that move (`plane_motion`, `scene`)."""

from flowchroma.data.made.plane_motion import PlaneMotion, Wave
from flowchroma.data.made.sample import Sample, SampleFilm
from flowchroma.data.made.scene import Layer, Scene

__all__ = ["Layer", "PlaneMotion", "Sample", "SampleFilm", "Scene", "Wave"]

"""What is decided about a film before it is coloured: its shots, and its keyframes.

Importing this room needs neither OpenCV nor PyAV.
"""

from flowchroma.plans.keyframes import Keyframe, Keyframes, keyframe_of_film, read_keyframes
from flowchroma.plans.shot_file import load_shots, save_shots
from flowchroma.plans.shots import Shot, find_shots, has_own_colour

__all__ = [
    "Keyframe",
    "Keyframes",
    "Shot",
    "find_shots",
    "has_own_colour",
    "keyframe_of_film",
    "load_shots",
    "read_keyframes",
    "save_shots",
]

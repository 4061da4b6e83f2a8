"""What is decided about a film before it is coloured: its shots, the stills that are worth colouring, its keyframes.

Importing this room needs neither OpenCV nor PyAV.
"""

from flowchroma.plans.choosing import choose_stills
from flowchroma.plans.keyframes import Keyframe, fitted_one_by_one, keyframe_files, keyframe_of_film
from flowchroma.plans.plan_file import Plan, PlannedShot, write_plan
from flowchroma.plans.plan_reading import read_plan
from flowchroma.plans.shot_file import load_shots, save_shots
from flowchroma.plans.shots import Shot, find_shots, has_own_colour

__all__ = [
    "Keyframe",
    "Plan",
    "PlannedShot",
    "Shot",
    "choose_stills",
    "find_shots",
    "fitted_one_by_one",
    "has_own_colour",
    "keyframe_files",
    "keyframe_of_film",
    "load_shots",
    "read_plan",
    "save_shots",
    "write_plan",
]

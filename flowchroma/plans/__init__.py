"""What is decided about a film before it is coloured: its shots, and which of them have colour of their own."""

from flowchroma.plans.shot_file import load_shots, save_shots
from flowchroma.plans.shots import Shot, find_shots, has_own_colour

__all__ = ["Shot", "find_shots", "has_own_colour", "load_shots", "save_shots"]

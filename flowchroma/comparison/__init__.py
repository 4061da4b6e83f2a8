"""Runs side by side: read from their directories, grouped into ideas, told apart from noise, drawn."""

from flowchroma.comparison.figures import curve_figure, idea_figure
from flowchroma.comparison.find import Found, find_runs
from flowchroma.comparison.ideas import Idea, Noise, differences, ideas_of, noise_of
from flowchroma.comparison.page import write_page
from flowchroma.comparison.runs import MONITOR, Run, read_run
from flowchroma.comparison.table import print_table, write_table
from flowchroma.comparison.verdict import unlike, verdict

__all__ = [
    "MONITOR",
    "Found",
    "Idea",
    "Noise",
    "Run",
    "curve_figure",
    "differences",
    "find_runs",
    "idea_figure",
    "ideas_of",
    "noise_of",
    "print_table",
    "read_run",
    "unlike",
    "verdict",
    "write_page",
    "write_table",
]

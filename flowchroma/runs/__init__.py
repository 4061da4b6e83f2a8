"""Comparison of runs: read from their directories, grouped into ideas, tested against noise between seeds, drawn."""

from flowchroma.runs.comparison_page import write_page
from flowchroma.runs.figures import curve_figure, idea_figure
from flowchroma.runs.find import FoundRuns, find_runs
from flowchroma.runs.ideas import Idea, SeedNoise, differences, ideas_of, seed_noise_of
from flowchroma.runs.significance import comparison_summary, validation_mismatch
from flowchroma.runs.table import print_table, write_table
from flowchroma.runs.training_run import DEFAULT_METRIC, Run, read_run

__all__ = [
    "DEFAULT_METRIC",
    "FoundRuns",
    "Idea",
    "Run",
    "SeedNoise",
    "comparison_summary",
    "curve_figure",
    "differences",
    "find_runs",
    "idea_figure",
    "ideas_of",
    "print_table",
    "read_run",
    "seed_noise_of",
    "validation_mismatch",
    "write_page",
    "write_table",
]

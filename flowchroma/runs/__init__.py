"""Comparison of runs: read from their directories, grouped into ideas, tested against noise between seeds, drawn."""

from flowchroma.runs.comparison_page import write_page
from flowchroma.runs.figures import curve_figure, idea_figure
from flowchroma.runs.find import FoundRuns, find_runs
from flowchroma.runs.ideas import Idea, SeedNoise, differences, ideas_of, seed_noise_of
from flowchroma.runs.significance import comparison_summary, validation_mismatch
from flowchroma.runs.table import print_table, write_table
from flowchroma.runs.training_run import DEFAULT_METRIC, Run, read_run

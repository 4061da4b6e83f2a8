"""What `python -m flowchroma.compare` does: read runs, and write and print what tells them apart."""

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from flowchroma.app.records import upgrade_record
from flowchroma.errors import UserError
from flowchroma.runs import (
    comparison_summary,
    find_runs,
    ideas_of,
    print_table,
    seed_noise_of,
    validation_mismatch,
    write_page,
    write_table,
)


def run(config: DictConfig, places: Sequence[str]) -> None:
    """Read the runs, and write and print what tells them apart."""
    if not places:
        raise UserError("no runs: give directories of runs or sweeps, or --help", code=2)
    found = find_runs(places, upgrade_record)
    if not found.runs:
        raise UserError("; ".join(found.refused))
    if not any(run.best_value(config.metric) is not None for run in found.runs):
        known = sorted({name for run in found.runs for name in (*run.results, *run.curves) if name.startswith("val/")})
        # Runs that all stopped too early have nothing to sort by, and are listed all the same.
        if known:
            raise UserError(f"no run has metric={config.metric}: choose from {', '.join(known)}", code=2)
    output = Path(config.output)
    try:
        write_table(found.runs, output / "comparison.csv", config.metric)
        write_page(found.runs, output / "comparison.html", config.metric, found.refused)
    except OSError as error:
        raise UserError(f"cannot write to {output}: {error.strerror or error}") from error
    ideas = ideas_of(found.runs, config.metric)
    print_table(found.runs, config.metric)
    for line in (comparison_summary(ideas, seed_noise_of(ideas), config.metric), validation_mismatch(found.runs)):
        if line:
            Console().print(line, soft_wrap=True, highlight=False, markup=False)
    Console().print(f"Read {output / 'comparison.html'}", soft_wrap=True, highlight=False, markup=False)
    for line in found.refused:
        print(f"flowchroma: {line}", file=sys.stderr)

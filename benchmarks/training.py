"""Training steps a second by stage and model, the share of time spent waiting for data, and peak memory.

    python benchmarks/training.py                                        every compact model, as conf/ has it
    python benchmarks/training.py --models simple --workers 0 2          with and without workers
    python benchmarks/training.py --trainer gpu --precision 32-true bf16-mixed --compile no yes --batch 2 4 8 16
    python benchmarks/training.py --trainer gpu --models memflow swintexco --size 224 224

Every combination runs in a process of its own, so that none is warmed up or filled by the one before. `ratio` is its
speed in clips against the first line's: a machine's mood is in each figure, and less of it in the ratio.
"""

import argparse
import csv
import itertools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from lightning.pytorch import Callback, Trainer, seed_everything

from flowchroma.app.run import run_config  # noqa: F401 (its resolvers)
from flowchroma.app.run.building import build_stage
from flowchroma.app.settings import CONF, configure_logging

STAGES = {"memflow_small": "memflow", "memflow": "memflow", "swintexco_small": "swintexco", "swintexco": "swintexco"}
MODELS = ["memflow_small", "swintexco_small", "simple", "unet"]  # what is in neither trains in stage fusion
COLUMNS = ("steps/s", "clips/s", "ratio", "waiting", "MiB", "first step, s")


class Clock(Callback):
    """When batches begin and end."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Note it."""
        self.begun.append(now())

    def on_train_batch_end(self, *_: Any) -> None:
        """Note it."""
        self.ended.append(now())

    def figures(self, warm_up: int, batch: int) -> dict[str, float]:
        """Steps and clips a second after the first steps, and the share of that time between batches."""
        begun, ended = self.begun[warm_up:], self.ended[warm_up - 1 :]
        whole = ended[-1] - ended[0]
        rate = len(begun) / whole
        waited = sum(begin - end for begin, end in zip(begun, ended, strict=False))
        return {"steps/s": rate, "clips/s": rate * batch, "waiting": waited / whole}


def measure(case: dict[str, Any]) -> dict[str, float]:
    """Train a few steps in this process.

    Args:
        case: model, trainer, precision, compile, batch, workers, size, length, steps, warm_up, weights and options.

    Returns:
        What the clock says, peak memory in MiB (of the GPU, or of this process without its workers), and the seconds
        to the end of the first step.
    """
    configure_logging()
    seed_everything(0, verbose=False)
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("config", overrides=overrides(case))
    stage = build_stage(config)
    if case["compile"] == "yes":
        stage.trained.compile()
    clock, start = Clock(), time.perf_counter()
    trainer: Trainer = instantiate(
        config.trainer, callbacks=[clock], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        limit_val_batches=0, default_root_dir=None,
    )  # fmt: skip
    trainer.fit(stage, datamodule=instantiate(config.data))
    on_gpu = stage.device.type == "cuda"
    return {
        **clock.figures(case["warm_up"], case["batch"]),
        "MiB": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else resident(),
        "first step, s": clock.ended[0] - start,
    }


def overrides(case: dict[str, Any]) -> list[str]:
    """What is typed for a case."""
    stage = STAGES.get(case["model"], "fusion")
    return [
        f"stage={stage}", f"model={case['model']}", f"trainer={case['trainer']}",
        f"trainer.max_steps={case['steps'] + case['warm_up']}", f"trainer.precision={case['precision']}",
        f"data.batch_size={case['batch']}", f"data.num_workers={case['workers']}",
        f"data.size={case['size']}", f"data.clip_length={case['length']}", "run_dir=unused",
        *([] if stage == "memflow" else [f"loss.weights={case['weights']}"]), *case["options"],
    ]  # fmt: skip


def now() -> float:
    """Seconds, once the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def resident() -> float:
    """Most memory that this process ever had, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def cases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every combination of what was asked for."""
    varied = itertools.product(options.models, options.precision, options.compile, options.batch, options.workers)
    fixed = {"trainer": options.trainer, "size": options.size, "length": options.length, "steps": options.steps}
    fixed |= {"warm_up": options.warm_up, "weights": options.weights, "options": options.options}
    names = ("model", "precision", "compile", "batch", "workers")
    return [{**dict(zip(names, chosen, strict=True)), **fixed} for chosen in varied]


def apart(case: dict[str, Any]) -> dict[str, float] | str:
    """Measure in a process of its own; its last line of complaint where it fails."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Measure each case and print it as it comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--trainer", default="cpu", help="a file of conf/trainer with one process")
    parser.add_argument("--precision", nargs="+", default=["32-true"])
    parser.add_argument("--compile", nargs="+", default=["no"], choices=["no", "yes"])
    parser.add_argument("--batch", nargs="+", type=int, default=[2])
    parser.add_argument("--workers", nargs="+", type=int, default=[1])
    parser.add_argument("--size", nargs=2, type=int, default=[96, 96])
    parser.add_argument("--length", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--weights", default="shipped", help="of the loss's trunk: shipped, auto or a file")
    parser.add_argument("--options", nargs="*", default=[], help="further overrides: data=davis data.root=DAVIS")
    parser.add_argument("--output", type=Path, help="a CSV file")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(json.loads(options.case))))
        return
    if options.warm_up < 1:
        parser.error("--warm-up must be at least 1: the first step builds what the others use")
    rows: list[dict[str, Any]] = []
    told = ("model", "precision", "compile", "batch", "workers")
    print(" | ".join((*told, *COLUMNS)))
    for case in cases(options):
        found = apart(case)
        row = {name: case[name] for name in told}
        if isinstance(found, str):
            print(" | ".join(map(str, row.values())), "|", found)
            rows.append({**row, "failed": found})
            continue
        found["ratio"] = found["clips/s"] / next((r["clips/s"] for r in rows if "clips/s" in r), found["clips/s"])
        rows.append({**row, **found})
        print(" | ".join((*map(str, row.values()), *(f"{found[name]:.3g}" for name in COLUMNS))), flush=True)
    if options.output:
        with options.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*told, *COLUMNS, "failed"], restval="")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()

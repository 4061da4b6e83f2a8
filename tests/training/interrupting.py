"""Callbacks that do to a run what clusters do, and a program that makes runs, each in a process of its own.

It reads lines of JSON, {"runs": [["stage=memflow", ...], ...], "said": FILE}, and answers each with how its runs ended:
their exit codes, or minus a signal. What they say goes to the file.
"""

import json
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class Interrupt(Callback):
    """Sends this process a signal in a hook of Lightning's, once so many batches have been trained on.

    Args:
        after: batches.
        hook: where.
        name: of the signal.
        rank: the process that does so; all by default.
        whom: "run", or "all" for its data workers as well, or "workers" for these alone.
    """

    def __init__(
        self,
        after: int,
        hook: str = "on_train_batch_end",
        name: str = "SIGKILL",
        rank: int | None = None,
        whom: str = "run",
    ) -> None:
        self.after, self.name, self.rank, self.whom = after, name, rank, whom
        setattr(self, hook, self.strike)

    def strike(self, trainer: Trainer, *args: Any) -> None:
        if self.rank not in (None, trainer.global_rank):
            return
        if trainer.fit_loop.epoch_loop.batch_progress.total.processed == self.after:
            workers = [child.pid for child in multiprocessing.active_children()]
            struck = {"run": [os.getpid()], "all": [*workers, os.getpid()], "workers": workers}[self.whom]
            assert struck
            # From outside, as a cluster does: a worker tells its parent's signal from another's.
            subprocess.run(["kill", f"-{self.name.removeprefix('SIG')}", *map(str, struck)], check=True)


class Draws(Callback):
    """Logs a number of each random stream at every step, and draws more of them while validating."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        drawn = {"torch": torch.rand(()).item(), "numpy": np.random.rand(), "python": random.random()}
        pl_module.log_dict({f"drawn/{name}": value for name, value in drawn.items()}, batch_size=1)

    def on_validation_batch_end(self, *args: Any) -> None:
        torch.rand(3), np.random.rand(2), random.random()


class Spoil(Callback):
    """Puts numbers that are none into a clip, or into the gradient, at given batches of one process."""

    def __init__(self, batches: list[int], what: str = "clip", rank: int = 0) -> None:
        self.batches, self.what, self.rank = list(batches), what, rank

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.now = trainer.global_rank == self.rank and (
            trainer.fit_loop.epoch_loop.batch_progress.total.completed in self.batches
        )
        if self.now and self.what == "clip":
            batch.lab.fill_(float("nan"))

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.now and self.what == "gradient":
            next(p for p in pl_module.parameters() if p.grad is not None).grad.fill_(float("inf"))


class Weights(Callback):
    """Logs what the weights sum up to after each step, in each process."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        total = sum(p.detach().double().abs().sum() for p in pl_module.trained.parameters())
        totals = pl_module.all_gather(total).flatten()
        pl_module.log_dict({f"weights/{rank}": value for rank, value in enumerate(totals)}, batch_size=1)


def ended(arguments: list[str]) -> int | list[int]:
    """Run `flowchroma.run` in a fork of this process, which has all imported and nothing started.

    With "processes=N" before its arguments it is run as torchrun would, in N forks.
    """
    first, _, count = arguments[0].partition("=")
    if first != "processes":
        return waited(forked(arguments, {}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "TORCHELASTIC_RUN_ID": "1"}
    together |= {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "GROUP_WORLD_SIZE": "1", "GROUP_RANK": "0"}
    children = [
        forked(arguments[1:], {**together, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(int(count))
    ]
    return [waited(child) for child in children]


def waited(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forked(arguments: list[str], environment: dict[str, str]) -> int:
    child = os.fork()
    if child:
        return child
    os.environ.update(environment)
    rank_zero_only.rank = int(environment.get("RANK", 0))  # Lightning reads it when it is imported
    sys.argv = ["flowchroma.run", *arguments]
    code = 0
    try:
        run.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import flowchroma.app.run.training  # noqa: F401 (or each run would import all of it anew)
    from flowchroma import run

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        with Path(request["said"]).open("wb", buffering=0) as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        print(json.dumps([ended(arguments) for arguments in request["runs"]]), file=answers, flush=True)

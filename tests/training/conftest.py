import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from flowchroma.losses import L1, Temporal, WeightedSum
from flowchroma.models import UNetFusion
from flowchroma.training import FusionStage
from flowchroma.types import Clip

STAGES = {
    "memflow": ["stage=memflow"],
    "swintexco": ["stage=swintexco", "loss=l1"],
    "swintexco_gan": ["stage=swintexco_gan", "stage.module.discriminator_width=4"],
    "fusion": [
        "stage=fusion", "loss=l1", "loss.temporal=0.5", "weights.flow=null", "weights.matcher=null",
    ],
}  # fmt: skip
# Five batches an epoch, so that twelve steps of one batch pass two ends of epochs.
TINY = [
    "data.size=[32,32]",
    "data.clip_length=2",
    "data.batch_size=2",
    "data.num_workers=0",
    "data.val_clips=2",
    "data.val_length=2",
    "data.sources.sample.clips_per_epoch=10",
    "trainer.max_steps=12",
    "trainer.val_check_interval=4",
    "trainer.log_every_n_steps=1",
    "callbacks.resumable.every_n_steps=3",
]


def made_clip(frames: int = 3, coloured: tuple[bool, ...] = (True, False)) -> Clip:
    batch = len(coloured)
    coarse = torch.rand(batch * 3, 1, 10, 10)
    picture = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bicubic").view(batch, 3, 64, 64)
    lab = picture * torch.tensor([90.0, 60, 60]).view(3, 1, 1) - torch.tensor([0.0, 30, 30]).view(3, 1, 1)
    film = torch.stack([lab.roll(2 * t, dims=-1) for t in range(frames)], dim=1)
    flow = torch.zeros(batch, frames - 1, 2, 64, 64)
    flow[:, :, 0] = -2
    return Clip(
        lab=film,
        references=film[:, :1],
        flow=flow,
        visible=torch.ones(batch, frames - 1, 1, 64, 64),
        has_flow=torch.ones(batch, dtype=torch.bool),
        starts_coloured=torch.tensor(coloured),
        names=[f"clip {i}" for i in range(batch)],
    )


@pytest.fixture
def clip() -> Clip:
    return made_clip()


@pytest.fixture
def fusion(build) -> FusionStage:
    loss = WeightedSum({"l1": L1(), "temporal": Temporal()}, {"l1": 1.0, "temporal": 0.5})
    return FusionStage(
        UNetFusion(8, 2), build("memflow_small"), build("swintexco_small"), loss, lambda p: torch.optim.Adam(p, 3e-3)
    )


@pytest.fixture
def tiny() -> Callable[..., list[str]]:
    """The options of a short run of a stage."""
    return lambda stage, *more: [*STAGES[stage], *TINY, *more]


@pytest.fixture
def interrupt() -> Callable[..., list[str]]:
    """The options that add a callback of interrupting.py."""

    def added(**settings) -> list[str]:
        settings = {"_target_": "interrupting.Interrupt", **settings}
        return [f"+callbacks.interrupt.{key}={value}" for key, value in settings.items()]

    return added


@pytest.fixture
def curves(rows) -> Callable[[Path], list[dict[str, str]]]:
    """All that a run logged while training, without the validation that scores the best at the end."""

    def read(folder: Path) -> list[dict[str, str]]:
        logged = rows(folder / "metrics.csv")
        end = max(int(row["step"]) for row in logged if row["train/loss"])
        return [row for row in logged if int(row["step"]) <= end]

    return read


@pytest.fixture(scope="session")
def runner():
    """A process that has imported all that a run needs."""
    root, here = Path(__file__).parents[2], Path(__file__).parent
    paths = os.pathsep.join([str(root), str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, str(here / "interrupting.py")], cwd=root, env={**os.environ, "PYTHONPATH": paths}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield process
    process.stdin.close()
    process.wait(60)


@pytest.fixture
def runs(runner: subprocess.Popen, tmp_path_factory: pytest.TempPathFactory):
    """Make runs of `flowchroma.run`, one after the other, each in a process of its own; tells how each ended."""

    def made(*each: list[str]) -> list[int]:
        said = tmp_path_factory.mktemp("said") / "said"
        runner.stdin.write(json.dumps({"runs": each, "said": str(said)}) + "\n")
        runner.stdin.flush()
        answer = runner.stdout.readline()
        sys.stderr.write(said.read_text(errors="replace"))
        return json.loads(answer)

    return made


@pytest.fixture
def rows():
    """The rows of a CSV file."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))

    return read

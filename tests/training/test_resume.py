import random
from pathlib import Path
from typing import Any

import pytest
import torch

from flowchroma.training.checkpoint_files import LAST

DRAWS = "+callbacks.draws._target_=interrupting.Draws"


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(v, other[k]) for k, v in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def same(one: Path, other: Path) -> None:
    first, second = (torch.load(p / "checkpoints" / LAST, weights_only=True) for p in (one, other))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "current_model_state", "averaging_state"):
        assert equal(first.get(key), second.get(key)), key
    best = [next(v for k, v in c["callbacks"].items() if k.startswith("ModelCheckpoint")) for c in (first, second)]
    assert best[0]["best_model_score"] == best[1]["best_model_score"]


def test_killed_at_any_moment_it_goes_on_to_the_bit(runs, tiny, interrupt, curves, tmp_path: Path) -> None:
    """After a validation, amid another, and with two batches a step; average, schedule and random streams included."""
    common = tiny("memflow", "callbacks=ema", "callbacks.ema.decay=0.9", "data.num_workers=1", DRAWS)
    common += ["trainer.accumulate_grad_batches=2", "trainer.max_steps=6", "callbacks.resumable.every_n_steps=1"]
    common += ["trainer.val_check_interval=2"]  # steps, so after the fourth and the eighth batch
    here = [*common, f"hydra.run.dir={tmp_path / 'killed'}", "resume=last"]
    whole, *ends = runs(
        [*common, f"hydra.run.dir={tmp_path / 'whole'}"],
        [*here, *interrupt(after=5)],
        [*here, *interrupt(after=8, hook="on_validation_batch_end")],
        here,
    )
    assert whole == 0
    assert ends == [-9, -9, 0]
    assert curves(tmp_path / "whole") == curves(tmp_path / "killed")
    assert len({row["drawn/torch"] for row in curves(tmp_path / "killed") if row["drawn/torch"]}) == 6
    same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stage", ["memflow", "swintexco", "fusion"])
def test_killed_at_five_random_steps(runs, tiny, interrupt, curves, tmp_path: Path, stage: str, workers: int) -> None:
    common = tiny(stage, f"data.num_workers={workers}", DRAWS)
    steps = random.Random(f"{stage}{workers}").sample(range(1, 12), 5)
    killed = [[*interrupt(after=step), f"hydra.run.dir={tmp_path / str(step)}"] for step in steps]
    goes_on = [[f"hydra.run.dir={tmp_path / str(step)}", "resume=last"] for step in steps]
    each = [[*common, *end] for pair in zip(killed, goes_on, strict=True) for end in pair]
    assert runs([*common, f"hydra.run.dir={tmp_path / 'whole'}"], *each) == [0, *[-9, 0] * 5]
    for step in steps:
        assert curves(tmp_path / "whole") == curves(tmp_path / str(step)), step
        same(tmp_path / "whole", tmp_path / str(step))

"""What a training run leaves beside its weights: its record, the scores of its best weights, and a table."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from flowchroma.app.settings import HOME
from flowchroma.errors import UserError
from flowchroma.runs.naming import git_state
from flowchroma.training import Stage


def fit(trainer: Trainer, stage: Stage, data: LightningDataModule, checkpoint: Path | None, metric: str) -> None:
    """Train, or go on training from a checkpoint, and keep the weights that are best by `metric`.

    Refuses a metric that the first validation did not log: of some, whether they are logged depends on the clips.
    """
    try:
        trainer.fit(stage, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except MisconfigurationException as error:
        if any(name.startswith("val/") for name in trainer.callback_metrics):
            refuse_missing(metric, trainer.callback_metrics, error)
        raise


def score_best(trainer: Trainer, stage: Stage, data: LightningDataModule, metric: str) -> Mapping[str, float]:
    """Load the best weights into the stage, and give their scores; validated again only if others were since."""
    keeper = trainer.checkpoint_callback
    if isinstance(keeper, ModelCheckpoint) and keeper.best_model_path:
        stage.load_state_dict(torch.load(keeper.best_model_path, map_location="cpu", weights_only=True)["state_dict"])
        if keeper.best_model_score == trainer.callback_metrics.get(metric):
            return {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    loggers, trainer.loggers = trainer.loggers, []  # or the best would stand at the end of the curve
    scores = trainer.validate(stage, datamodule=data, verbose=False)[0]
    trainer.loggers = loggers
    refuse_missing(metric, scores)
    return scores


def refuse_missing(metric: str, logged: Mapping[str, Any], cause: Exception | None = None) -> None:
    """Refuse an `optimized_metric` that validation did not log, with the names that it did."""
    if metric not in logged:
        names = ", ".join(sorted(name for name in logged if name.startswith("val/")))
        raise UserError(f"optimized_metric={metric} is not logged on these clips: choose from {names}") from cause


def write_record(config: DictConfig, stage: Stage, path: Path) -> dict[str, Any]:
    """Write the composed config with what was chosen and typed, the code's state, and which trunk the loss has."""
    composed = cast(dict[str, Any], OmegaConf.to_container(config))
    hydra_config = HydraConfig.get()
    composed["record"] = {
        "loss_trunk": stage.loss.trunk_used,
        "torch": str(torch.__version__),
        "git": git_state(HOME),
        "overrides": list(hydra_config.overrides.task),
        "choices": {k: v for k, v in hydra_config.runtime.choices.items() if "hydra" not in k},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    recorded = OmegaConf.create(composed)
    OmegaConf.save(recorded, path, resolve=True)
    return cast(dict[str, Any], OmegaConf.to_container(recorded, resolve=True))


def report(config: DictConfig, stage: Stage, scores: Mapping[str, float], run_dir: Path) -> None:
    """Print the final table and write it to results.csv."""
    learned = sum(p.numel() for p in stage.trained.parameters() if p.requires_grad)
    order = sorted(scores, key=lambda name: name != config.optimized_metric)
    row = {
        "stage": config.stage.name,
        "model": HydraConfig.get().runtime.choices["model"],
        "seed": config.seed,
        "overrides": " ".join(HydraConfig.get().overrides.task),
        "trained parameters": learned,
        **{name: round(float(scores[name]), 4) for name in order},
    }
    with (run_dir / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    table = Table(title=f"{row['stage']} | {row['model']}, best of the run, unseen clips", show_header=False)
    for name, value in row.items():
        if name != "overrides":
            table.add_row(name, str(value))
    console = Console()
    console.print(table)
    console.print(f"Everything is in {run_dir}", soft_wrap=True, highlight=False, markup=False)

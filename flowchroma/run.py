"""Train one stage, keep the best, score it: python -m flowchroma.run stage=fusion model=simple."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from flowchroma.app.building import build_stage, build_trainer, refuse_misfit
from flowchroma.app.launching import job_of_a_sweep, refuse_unlaunchable
from flowchroma.app.options import say_options
from flowchroma.app.resuming import checkpoint_to_resume, named_failures
from flowchroma.app.settings import CONF, HOME, say_errors
from flowchroma.runs.naming import git_state
from flowchroma.training import MONITOR, Stage, close_loggers, log_config, save_weights
from flowchroma.weights.files import WEIGHTS


@say_options
@hydra.main(version_base="1.3", config_path=CONF, config_name="config")
@say_errors
@named_failures()
def main(config: DictConfig) -> float:
    """Compose, train or go on training, keep the best by validation, and return the figure that sweeps go by."""
    refuse_misfit(config)
    with job_of_a_sweep(config):
        return run(config)


def run(config: DictConfig) -> float:
    """One run, in each of its processes: its best figure."""
    checkpoint = checkpoint_to_resume(config)
    run_dir = Path(config.run_dir)
    seed_everything(config.seed, workers=True, verbose=False)
    stage = build_stage(config)
    data = instantiate(config.data)
    trainer = build_trainer(config, stage)
    refuse_unlaunchable(trainer)
    try:
        if trainer.is_global_zero:
            log_config(trainer.loggers, record(config, stage, run_dir / "config.yaml"))
        if stage.has_parameters:
            trainer.fit(stage, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        scores = score_best(trainer, stage, data)
    finally:
        close_loggers(trainer.loggers)
    if trainer.is_global_zero:
        save_weights(stage.network, run_dir / WEIGHTS)
        report(config, stage, scores, run_dir)
    return float(scores[MONITOR])


def score_best(trainer: Trainer, stage: Stage, data: LightningDataModule) -> Mapping[str, float]:
    """The figures of the best weights, which the stage then has; validated again only if others were since."""
    keeper = trainer.checkpoint_callback
    if isinstance(keeper, ModelCheckpoint) and keeper.best_model_path:
        stage.load_state_dict(torch.load(keeper.best_model_path, map_location="cpu", weights_only=True)["state_dict"])
        if keeper.best_model_score == trainer.callback_metrics.get(MONITOR):
            return {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    loggers, trainer.loggers = trainer.loggers, []  # or the best would stand at the end of the curve
    scores = trainer.validate(stage, datamodule=data, verbose=False)[0]
    trainer.loggers = loggers
    return scores


def record(config: DictConfig, stage: Stage, path: Path) -> dict[str, Any]:
    """Write the composed config, what was chosen and typed, the code's state, and which network the loss really had."""
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
    row = {
        "stage": config.stage.name,
        "model": HydraConfig.get().runtime.choices["model"],
        "seed": config.seed,
        "overrides": " ".join(HydraConfig.get().overrides.task),
        "trained parameters": learned,
        **{name: round(float(value), 4) for name, value in sorted(scores.items(), key=lambda s: s[0] != MONITOR)},
    }
    with (run_dir / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    table = Table(title=f"{row['stage']} | {row['model']}, best of the run, unseen clips", show_header=False)
    for name, value in row.items():
        if name == "overrides":
            continue
        table.add_row(name, str(value))
    console = Console()
    console.print(table)
    console.print(f"Everything is in {run_dir}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()

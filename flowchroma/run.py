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

from flowchroma.errors import UserError
from flowchroma.loading import build_model
from flowchroma.settings import CONF, say_errors
from flowchroma.training import MONITOR, Stage, save_weights
from flowchroma.training.checkpoint import WEIGHTS


@hydra.main(version_base="1.3", config_path=CONF, config_name="config")
@say_errors
def main(config: DictConfig) -> None:
    """Compose, train, keep the best by validation, and write what it reached."""
    refuse_misfit(config)
    run_dir = Path(config.run_dir)
    seed_everything(config.seed, workers=True, verbose=False)
    stage = build_stage(config)
    data = instantiate(config.data)
    trainer = build_trainer(config, stage)
    if trainer.is_global_zero:
        record(config, stage, run_dir / "config.yaml")
    if stage.has_parameters:
        trainer.fit(stage, datamodule=data)
    scores = score_best(trainer, stage, data)
    if trainer.is_global_zero:
        save_weights(stage.network, run_dir / WEIGHTS)
        report(config, stage, scores, run_dir)


def score_best(trainer: Trainer, stage: Stage, data: LightningDataModule) -> Mapping[str, float]:
    """The figures of the best weights, which the stage then has; validated again only if others were since."""
    keeper = trainer.checkpoint_callback
    if isinstance(keeper, ModelCheckpoint) and keeper.best_model_path:
        stage.load_state_dict(torch.load(keeper.best_model_path, map_location="cpu", weights_only=True)["state_dict"])
        if keeper.best_model_score == trainer.callback_metrics.get(MONITOR):
            return {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    return trainer.validate(stage, datamodule=data, verbose=False)[0]


def refuse_misfit(config: DictConfig) -> None:
    """Refuse a model of another stage before anything is built.

    Raises:
        UserError: with the models that fit.
    """
    model = HydraConfig.get().runtime.choices["model"]
    if model not in config.stage.fits:
        fits = " or ".join(f"model={name}" for name in config.stage.fits)
        raise UserError(f"model={model} is not of stage={config.stage.name}: use {fits}")


def build_stage(config: DictConfig) -> Stage:
    """The LightningModule of the chosen stage, its networks filled from their checkpoints."""
    part = {"memflow": "flow", "swintexco": "matcher", "fusion": "fusion"}[config.stage.name]
    networks = {"model": build_model(config.model, part)}
    for frozen in ("flow", "matcher"):
        if frozen in config.stage:
            networks[frozen] = build_model(config.stage[frozen], frozen)
    scheduler = instantiate(config.scheduler) if config.scheduler else None
    return instantiate(
        config.stage.module,
        **networks,
        loss=instantiate(config.loss),
        optimizer=instantiate(config.optimizer),
        scheduler=scheduler,
        _recursive_=False,
        _convert_="object",
    )


def build_trainer(config: DictConfig, stage: Stage) -> Trainer:
    """The Trainer; a run shorter than an interval between validations or log lines has one of each at its end."""
    settings = OmegaConf.merge(config.trainer)
    if settings.max_steps > 0:
        batches = settings.max_steps * settings.accumulate_grad_batches
        settings.val_check_interval = min(settings.val_check_interval, batches)
        settings.log_every_n_steps = min(settings.log_every_n_steps, settings.max_steps)
    if not stage.automatic_optimization:  # such a stage does both itself; Lightning refuses a trainer that would too
        settings.gradient_clip_val, settings.accumulate_grad_batches = None, 1
    return instantiate(
        settings,
        callbacks=[instantiate(c) for c in (config.callbacks or {}).values()],
        logger=[instantiate(c) for c in (config.logger or {}).values()],
    )


def record(config: DictConfig, stage: Stage, path: Path) -> None:
    """Write the composed config, and which feature network the loss really had."""
    composed = cast(dict[str, Any], OmegaConf.to_container(config))
    composed["record"] = {"loss_trunk": stage.loss.trunk_used, "torch": str(torch.__version__)}
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(composed), path, resolve=True)


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

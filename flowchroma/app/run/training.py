"""A training run from its composed options: built, trained, scored by its best weights, and recorded."""

from pathlib import Path

from lightning.pytorch import LightningDataModule, seed_everything
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.run.building import (
    build,
    build_stage,
    build_trainer,
    check_data_fit_stage,
    check_device,
    check_model_fits_stage,
    stage_class,
)
from flowchroma.app.run.extending import with_system
from flowchroma.app.run.launching import check_launchable, launching_job
from flowchroma.app.run.results import fit, report, score_best, write_record
from flowchroma.app.run.resuming import checkpoint_to_resume
from flowchroma.app.run.signatures import check_arguments
from flowchroma.training import close_loggers, log_config, save_weights
from flowchroma.weights.files import WEIGHTS


def train(config: DictConfig) -> float:
    """Train what the options say, keep the best by validation, and return its `optimized_metric`."""
    config = with_system(config, stage_class(config))
    check_model_fits_stage(config)
    check_data_fit_stage(config)
    check_arguments(OmegaConf.to_container(config, resolve=True))
    check_device(config)
    with launching_job(config):
        return _train_here(config)


def _train_here(config: DictConfig) -> float:
    """The same, in each of the run's processes."""
    checkpoint = checkpoint_to_resume(config)
    run_dir, metric = Path(config.run_dir), config.optimized_metric
    seed_everything(config.seed, workers=True, verbose=False)
    stage = build_stage(config)
    data = build("data", config.data, LightningDataModule)
    trainer = build_trainer(config, stage)
    check_launchable(trainer)
    try:
        if trainer.is_global_zero:
            log_config(trainer.loggers, write_record(config, stage, run_dir / "config.yaml"))
        if stage.has_parameters:
            fit(trainer, stage, data, checkpoint, metric)
        scores = score_best(trainer, stage, data, metric)
    finally:
        close_loggers(trainer.loggers)
    if trainer.is_global_zero:
        save_weights(stage.network, run_dir / WEIGHTS)
        report(config, stage, scores, run_dir)
    return float(scores[metric])

"""What a training run is built of, from its configuration."""

from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import SLURMEnvironment
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.systems import build_model
from flowchroma.errors import UserError
from flowchroma.training import Stage


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
    stage: Stage = instantiate(
        config.stage.module,
        **networks,
        loss=instantiate(config.loss),
        optimizer=instantiate(config.optimizer),
        scheduler=scheduler,
        _recursive_=False,
        _convert_="object",
    )
    if config.channels_last:
        stage.to(memory_format=torch.channels_last)
    if config.compile:
        stage.trained.compile()
    return stage


def build_trainer(config: DictConfig, stage: Stage) -> Trainer:
    """The Trainer; a run shorter than an interval between validations or log lines has one of each at its end."""
    settings: Any = OmegaConf.merge(config.trainer)
    if settings.max_steps > 0:
        # Lightning counts batches here.
        steps = min(settings.val_check_interval, settings.max_steps)
        settings.val_check_interval = steps * settings.accumulate_grad_batches
        settings.log_every_n_steps = min(settings.log_every_n_steps, settings.max_steps)
    if not stage.automatic_optimization:  # such a stage does both itself; Lightning refuses a trainer that would too
        settings.gradient_clip_val, settings.accumulate_grad_batches = None, 1
    trainer: Trainer = instantiate(
        settings,
        callbacks=[instantiate(c) for c in (config.callbacks or {}).values()],
        logger=[instantiate(c) for c in (config.logger or {}).values()],
    )
    environment = trainer._accelerator_connector.cluster_environment
    if isinstance(environment, SLURMEnvironment):
        environment.auto_requeue = False  # its checkpoints would be taken up unasked, and are not between two steps
    return trainer

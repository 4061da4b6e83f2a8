"""What a training run is built of, from its configuration."""

from inspect import signature
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import SLURMEnvironment
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.networks import build_network, class_of, kind_of, model_configs_for
from flowchroma.errors import UserError
from flowchroma.training import Stage


def check_model_fits_stage(config: DictConfig) -> None:
    """Refuse a model of another kind than the stage trains or uses, or options of an earlier one, before building."""
    stage = _stage_of(config)
    choices = HydraConfig.get().runtime.choices
    networks = {"model": (config.model, stage.trains)}
    networks |= {f"model@stage.{name}": (config.stage[name], kind) for name, kind in _frozen(config, stage).items()}
    for option, (network, kind) in networks.items():
        if "checkpoint" in network:  # in a file of options: what is typed is translated
            where = option.replace("model@", "")
            raise UserError(f"{where}.checkpoint has moved: give weights.{where.removeprefix('stage.')} instead")
        if kind_of(class_of(network)) is not kind:
            chosen = choices.get(option, network._target_)
            fits = " or ".join(f"{option}={name}" for name in model_configs_for(kind))
            raise UserError(f"{option}={chosen} is not of stage={config.stage.name}: use {fits}")


def build_stage(config: DictConfig) -> Stage:
    """The LightningModule of the chosen stage, its networks filled with the weights that `weights` names."""
    networks = {"model": build_network(config.model, config.weights.model)}
    for name in _frozen(config, _stage_of(config)):
        networks[name] = build_network(config.stage[name], config.weights.get(name))
    scheduler = instantiate(config.scheduler) if config.get("scheduler") else None
    optimizer = instantiate(config.optimizer)
    try:
        signature(optimizer).bind(())
    except (TypeError, ValueError) as error:
        raise UserError(f"cannot build optimizer: {error.__cause__ or error}", code=2) from error
    stage: Stage = instantiate(
        config.stage.module,
        **networks,
        loss=instantiate(config.loss),
        optimizer=optimizer,
        scheduler=scheduler,
        _recursive_=False,
        _convert_="object",
    )
    if config.channels_last:
        stage.to(memory_format=torch.channels_last)
    if config.compile:
        stage.trained.compile()
    return stage


def check_device(config: DictConfig) -> None:
    """Refuse a device that this machine or its PyTorch lacks, or has too few of, before anything is built."""
    name, wanted = config.trainer.accelerator, config.trainer.devices
    there = {"gpu": torch.cuda.device_count() or int(torch.backends.mps.is_available()),
             "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}  # fmt: skip
    if name not in there:
        return
    if not there[name]:
        raise UserError(f"trainer.accelerator={name}: there is no such device here, use trainer=cpu or trainer=ddp_cpu")
    most = wanted if isinstance(wanted, int) else 1 + max(wanted) if OmegaConf.is_list(wanted) else 0
    if most > there[name]:
        raise UserError(f"trainer.devices={wanted}: this machine has {there[name]}")


def build_trainer(config: DictConfig, stage: Stage) -> Trainer:
    """The Trainer; a run shorter than an interval between validations or log lines has one of each at its end.

    Refuses an `optimized_metric` that validation of this stage does not log.
    """
    if config.optimized_metric not in stage.validation_metrics:
        raise UserError(
            f"optimized_metric={config.optimized_metric} is not logged by stage={config.stage.name}: choose from"
            f" {', '.join(stage.validation_metrics)}"
        )
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


def _stage_of(config: DictConfig) -> type[Stage]:
    stage = class_of(config.stage.module)
    if not issubclass(stage, Stage):
        raise UserError(f"stage.module._target_={config.stage.module._target_} is no flowchroma.training.Stage")
    return stage


def _frozen(config: DictConfig, stage: type[Stage]) -> dict[str, Any]:
    """The networks beside the trained one that are configured, and which kind each must be of."""
    return {name: kind for name, kind in stage.uses.items() if name in config.stage}

"""What a training run is built of, from its configuration."""

import os
from collections.abc import Callable
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import SLURMEnvironment
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.networks import build_network, class_of, find_target, kind_of, model_configs_for
from flowchroma.app.run.values import typed
from flowchroma.data import RolloutDataModule
from flowchroma.errors import UserError
from flowchroma.models.contracts import Fusion
from flowchroma.training import Stage
from flowchroma.training.stage import trainable_parameters


def check_model_fits_stage(config: DictConfig) -> None:
    """Refuse a model of another kind than the stage trains or uses, or options of an earlier one, before building."""
    stage = stage_class(config)
    choices = HydraConfig.get().runtime.choices
    networks = {"model": (config.model, stage.trains)}
    networks |= {f"model@stage.{name}": (config.stage[name], kind) for name, kind in _frozen(config, stage).items()}
    for group, own in (("stage", ("name", "module")), ("weights", ("model", "flow", "matcher", "system"))):
        if unknown := {*config[group]} - {*own, *stage.uses}:
            known = ", ".join(dict.fromkeys((*own, *stage.uses)))
            raise UserError(f"{group}.{min(unknown)} is no option: those of this stage are {known}", code=2)
    for option, (network, kind) in networks.items():
        where = option.replace("model@", "")
        if not OmegaConf.is_dict(network):
            raise UserError(f"{where}={typed(network)}: choose a network by {option}=NAME", code=2)
        if "checkpoint" in network:  # in a file of options: what is typed is translated
            raise UserError(f"{where}.checkpoint has moved: give weights.{where.removeprefix('stage.')} instead")
        if kind_of(class_of(network, where)) is not kind:
            chosen = choices.get(option, network._target_)
            fits = " or ".join(f"{option}={name}" for name in model_configs_for(kind))
            raise UserError(f"{option}={chosen} is not of stage={config.stage.name}: use {fits}")


def check_data_fit_stage(config: DictConfig) -> None:
    """Refuse rollouts for a stage that is trained on clips, and clips for one that is trained on rollouts."""
    target = config.data.get("_target_") if OmegaConf.is_dict(config.data) else None
    found = None if target is None else find_target(target, "data")
    rollouts = isinstance(found, type) and issubclass(found, RolloutDataModule)
    if rollouts and not stage_class(config).extends_system:
        raise UserError(
            f"data=rollouts is not of stage={config.stage.name}: it is of stage=fusion_rollouts and stage=bidirectional"
        )
    if stage_class(config).extends_system and not rollouts:
        raise UserError(f"stage={config.stage.name} is trained on rollouts: give data=rollouts data.root=DIR")


def build_stage(config: DictConfig) -> Stage:
    """The LightningModule of the chosen stage, its networks filled with the weights that `weights` names."""
    parts = {"model": build_network(config.model, config.weights.model)}
    for name in _frozen(config, stage_class(config)):
        parts[name] = build_network(config.stage[name], config.weights.get(name) or config.weights.get("system"))
    scheduler = build("scheduler", config.scheduler, Callable) if config.get("scheduler") else None
    optimizer, loss = (build(key, config[key], Callable) for key in ("optimizer", "loss"))
    parts |= {"loss": loss, "optimizer": optimizer, "scheduler": scheduler}
    settings: Any = {"_recursive_": False, "_convert_": "object"}
    stage: Stage = build("stage.module", config.stage.module, Stage, **parts, **settings)
    _check_optimizer(config, stage, optimizer, scheduler)
    if config.channels_last:
        stage.to(memory_format=torch.channels_last)
    if config.compile:
        stage.trained.compile()
        if isinstance(stage.trained, Fusion):
            stage.trained.fuse = torch.compile(stage.trained.fuse)  # type: ignore[method-assign] # what stages call
    return stage


def build(key: str, node: Any, kind: Any, **more: Any) -> Any:
    """Build what an option's `_target_` names.

    Args:
        key: of the option.
        node: its config.
        kind: the class that it is to be of.
        more: arguments.

    Raises:
        UserError: it is of another class.
    """
    made = instantiate(node, **more) if OmegaConf.is_dict(node) and "_target_" in node else None
    if not isinstance(made, kind):
        raise UserError(f"{key} gives no {kind.__name__}: name one as {key}._target_", code=2)
    return made


def _check_optimizer(config: DictConfig, stage: Stage, optimizer: Any, scheduler: Any) -> None:
    """Build both once, before anything is read or written."""
    parameters = trainable_parameters(stage.trained)
    key, schedule = "optimizer", None
    if not parameters:
        return
    try:
        made = optimizer(parameters)
        key = "scheduler"
        schedule = scheduler(made) if scheduler else None
    except Exception as error:  # whatever torch has against it
        raise UserError(f"cannot build {key}: {' '.join(str(error).split())}", code=2) from error
    steps = getattr(schedule, "total_steps", config.trainer.max_steps)
    if config.trainer.max_steps > steps:
        raise UserError(f"scheduler.total_steps={steps}: give trainer.max_steps, {config.trainer.max_steps}", code=2)


def check_device(config: DictConfig) -> None:
    """Refuse a device that this machine or its PyTorch lacks, or has too few of, before anything is built."""
    name, wanted = config.trainer.accelerator, config.trainer.devices
    cuda, mps = torch.cuda.device_count(), int(torch.backends.mps.is_available())
    there = {"gpu": cuda or mps, "cuda": cuda, "mps": mps, "cpu": max(8, os.cpu_count() or 1)}
    if name not in there:
        return
    if not there[name]:
        raise UserError(f"trainer.accelerator={name}: there is no such device here, use trainer=cpu or trainer=ddp_cpu")
    most = wanted if isinstance(wanted, int) else 1 + max(wanted) if OmegaConf.is_list(wanted) else 0
    if most > there[name]:
        raise UserError(f"trainer.devices={wanted}: {there[name]} is the most here")


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
    callbacks = [build(f"callbacks.{name}", node, Callback) for name, node in config.callbacks.items()]
    loggers = [build(f"logger.{name}", node, Logger) for name, node in config.logger.items()]
    trainer: Trainer = build("trainer", settings, Trainer, callbacks=callbacks, logger=loggers)
    environment = trainer._accelerator_connector.cluster_environment
    if isinstance(environment, SLURMEnvironment):
        environment.auto_requeue = False  # its checkpoints would be taken up unasked, and are not between two steps
    return trainer


def stage_class(config: DictConfig) -> type[Stage]:
    """The class of the stage that is chosen; a `UserError` where it is none."""
    stage = class_of(config.stage.module, "stage.module")
    if not issubclass(stage, Stage):
        raise UserError(f"stage.module._target_={config.stage.module._target_} is no flowchroma.training.Stage", code=2)
    return stage


def _frozen(config: DictConfig, stage: type[Stage]) -> dict[str, Any]:
    """The networks beside the trained one that are configured, and which kind each must be of."""
    return {name: kind for name, kind in stage.uses.items() if name in config.stage}

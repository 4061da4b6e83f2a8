"""Stages that add a part to a whole system: the system's networks are those that `weights.system` records."""

from copy import deepcopy

from omegaconf import DictConfig, OmegaConf

from flowchroma.app.systems import read_system
from flowchroma.errors import UserError
from flowchroma.training import Stage


def with_system(config: DictConfig, stage: type[Stage]) -> DictConfig:
    """The options with the networks of the system that is extended, so that a run's record says what it holds.

    Args:
        config: of a run.
        stage: its class; where it extends no system the options come back as they are.

    Raises:
        UserError: no system is named, or there is none.
    """
    if not stage.extends_system:
        return config
    where = config.weights.get("system")
    if where is None:
        raise UserError(f"weights.system=null: stage={config.stage.name} needs shipped, or a run of stage=fusion")
    system = read_system(where)
    config = deepcopy(config)
    OmegaConf.set_struct(config, False)
    config.stage.update({part: getattr(system, part) for part in stage.uses})
    config.stage.module = {**config.stage.module, **system.memory}
    if "error_model" in config.model and config.model.error_model is None:
        config.model.error_model = system.fusion.get("error_model")
    OmegaConf.set_struct(config, True)
    return config

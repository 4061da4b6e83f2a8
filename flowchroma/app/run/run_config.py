"""What conf/config.yaml needs beside Hydra itself: the folder of experiments, and its resolvers."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import OmegaConf

from flowchroma.app.settings import HOME


class Experiments(SearchPathPlugin):
    """Lets `+experiments=NAME` find the folder beside conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Search the folder that holds conf/ and experiments/, last."""
        search_path.append("flowchroma", f"file://{HOME}")


def in_sweep() -> bool:
    """Whether Hydra runs this task as one of several."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def special_overrides() -> list[str]:
    """The options typed for this run; in a sweep, those of them that the sweep varies."""
    typed = [str(override) for override in HydraConfig.get().overrides.task]
    kept = Path(HydraConfig.get().sweep.dir, "multirun.yaml")
    if not in_sweep() or not kept.is_file():
        return typed
    sweep = OmegaConf.load(kept).hydra
    parsed = OverridesParser.create().parse_overrides([str(override) for override in sweep.overrides.task])
    varied = {override.get_key_element() for override in parsed if override.is_sweep_override()}
    varied |= set(sweep.sweeper.get("params") or {})
    return [override for override in typed if override.partition("=")[0] in varied]


def _name(stage: str, model: str, seed: int) -> str:
    from flowchroma.runs.naming import run_name  # with all of flowchroma.runs, which takes seconds

    return run_name(stage, model, seed, special_overrides())


def _lower_is_better(metric: str) -> bool:
    from flowchroma.runs.training_run import is_lower_better

    return is_lower_better(metric)


Plugins.instance().register(Experiments)
OmegaConf.register_new_resolver("name_of", _name, replace=True)
OmegaConf.register_new_resolver(
    "group_of", lambda alone: Path(HydraConfig.get().sweep.dir).name if in_sweep() else alone, replace=True
)
OmegaConf.register_new_resolver("mode_of", lambda metric: "min" if _lower_is_better(metric) else "max", replace=True)
OmegaConf.register_new_resolver(
    "direction_of", lambda metric: "minimize" if _lower_is_better(metric) else "maximize", replace=True
)

"""What the entry points share: where the configuration is, how it becomes objects, and how errors are said."""

import logging
import math
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flowchroma.errors import UserError
from flowchroma.runs.naming import name_of

_PACKAGE = Path(__file__).parents[1]
# Beside the package in a checkout, inside it once installed.
HOME = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent
CONF = str(HOME / "conf")
ERROR = "error.txt"  # in the directory of a run that failed


class Experiments(SearchPathPlugin):
    """Lets `+experiments=NAME` find the folder beside conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Search the folder that holds conf/ and experiments/, last."""
        search_path.append("flowchroma", f"file://{HOME}")


def in_sweep() -> bool:
    """Whether Hydra runs this task as one of several."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def special_overrides() -> list[str]:
    """What was typed for this run; in a sweep, what of it the sweep varies."""
    typed = [str(override) for override in HydraConfig.get().overrides.task]
    kept = Path(HydraConfig.get().sweep.dir, "multirun.yaml")
    if not in_sweep() or not kept.is_file():
        return typed
    sweep = OmegaConf.load(kept).hydra
    parsed = OverridesParser.create().parse_overrides([str(override) for override in sweep.overrides.task])
    varied = {override.get_key_element() for override in parsed if override.is_sweep_override()}
    varied |= set(sweep.sweeper.get("params") or {})
    return [override for override in typed if override.partition("=")[0] in varied]


Plugins.instance().register(Experiments)
OmegaConf.register_new_resolver(
    "name_of", lambda stage, model, seed: name_of(stage, model, seed, special_overrides()), replace=True
)
OmegaConf.register_new_resolver(
    "group_of", lambda alone: Path(HydraConfig.get().sweep.dir).name if in_sweep() else alone, replace=True
)


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is the fastest there is.

    Raises:
        UserError: This machine, or its PyTorch, has none of that name.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, usable in there.items() if usable))
    if name.split(":")[0] not in there:
        raise UserError(f"unknown device {name}: give auto, cpu, cuda or mps", code=2)
    if not there[name.split(":")[0]]:
        raise UserError(f"device={name} is not there: give device=auto or device=cpu")
    return torch.device(name)


def quiet() -> None:
    """One line a message, and none for what the user can do nothing about."""
    logging.basicConfig(level=logging.WARNING, format="flowchroma: %(message)s")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for said in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*LeafSpec.*",
        ".*Checkpoint directory .* exists and is not empty.*",  # of a run that goes on
        ".*in eval mode at the start of training.*",  # frozen on purpose
        ".*your dataloader is not resumable.*",  # its sampler is
        ".*callbacks used to create the checkpoint.*",  # what matters of them is said by their settings
        ".*`broadcast_buffers` is deprecated.*",  # older releases of PyTorch know no other name
        "Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", message=said)
    warnings.showwarning = lambda message, *_, **__: print(f"flowchroma: {message}", file=sys.stderr)


def say_errors(task: Callable[..., float | None]) -> Callable[..., float | None]:
    """Run an entry point's task; a UserError becomes one line and an exit code instead of a traceback.

    What it died of is kept in the run's directory. In a sweep it ends this run alone, whose figure is then NaN.
    """

    def run(config: DictConfig) -> float | None:
        quiet()
        kept = Path(config.run_dir, ERROR)
        kept.unlink(missing_ok=True)
        try:
            return task(config)
        except Exception as error:
            advice = advice_in(error)
            line = f"{type(error).__name__}: {error}" if advice is None else str(advice)
            if advice and not line:  # one process of several speaks for all
                sys.exit(advice.code)
            if advice and advice.code >= 128:  # a signal: it ends a sweep as well
                print(f"flowchroma: {line}", file=sys.stderr)
                sys.exit(advice.code)
            _keep(kept, line if advice else f"{line}\n\n{traceback.format_exc()}")
            if in_sweep():
                print(f"flowchroma: {kept.parent}: {line}", file=sys.stderr)
                return math.nan
            if advice is None:
                raise
            print(f"flowchroma: {line}", file=sys.stderr)
            sys.exit(advice.code)

    return run


def _keep(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    except OSError:  # the disk may be what it died of
        return


def advice_in(error: BaseException | None) -> UserError | None:
    """The UserError behind an exception: Hydra wraps what a constructor raises."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error

"""Hydra's sweeps by Optuna: hydra/sweeper=optuna. Hydra looks for plugins in this package alone."""

import math
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Transformer
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

_KILLED = "killed"  # where a study keeps the numbers of trials whose sweep was killed


class OptunaSweeper(Sweeper):
    """Lets Optuna choose what runs next, in a study that outlives the process.

    The same command again goes on in the same study: a trial that was running when the sweep was killed is run again
    under a new number, so no run's directory is written twice.

    Args:
        trials: finished trials, failed ones and those of earlier starts included, after which the sweep ends.
        parallel: trials that are launched together.
        direction: maximize or minimize.
        storage: URL of Optuna's storage.
        study: its name there.
        seed: of the sampler; how many trials there are already is added, so that none is drawn twice.
        sampler: name of a class that takes a seed, `optuna.samplers.TPESampler`.
        sampler_options: what else it is given.
        params: the space, as on the command line: `loss.l1: interval(0.5, 2)`.
    """

    def __init__(
        self,
        trials: int,
        parallel: int,
        direction: Literal["maximize", "minimize"],
        storage: str,
        study: str,
        seed: int,
        sampler: str,
        sampler_options: DictConfig | None = None,
        params: DictConfig | None = None,
    ) -> None:
        self.trials, self.parallel, self.direction = trials, parallel, direction
        self.storage, self.study, self.seed, self.sampler = storage, study, seed, sampler
        self.sampler_options = {str(key): value for key, value in (sampler_options or {}).items()}
        self.params = [f"{key!s}={value}" for key, value in (params or {}).items()]
        self.launcher: Launcher | None = None
        self.folder = Path()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take over what Hydra knows."""
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.config, self.loader = config, hydra_context.config_loader
        self.folder = Path(config.hydra.sweep.dir)

    def sweep(self, arguments: list[str]) -> None:
        """Run trials until there are enough.

        Args:
            arguments: overrides, those with a range of values among them.

        Raises:
            UserError: Optuna is not installed, nothing is to be searched, or another process is at this study.
        """
        from filelock import FileLock, Timeout

        from flowchroma.errors import UserError

        parser = OverridesParser.create(config_loader=self.loader)
        fixed, space = read_space([*self.params, *arguments], parser)
        if not space:
            raise UserError("nothing to search: give a range, as in 'loss.l1=interval(0.5,2)'", code=2)
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, self.folder / "multirun.yaml")
        try:
            with FileLock(self.folder / "study.lock", timeout=0):
                self._search(fixed, space)
        except Timeout as error:
            raise UserError(f"another sweep is at work in {self.folder}: wait for it, or stop it first") from error

    def _search(self, fixed: list[str], space: dict[str, Any]) -> None:
        import optuna

        assert self.launcher is not None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            storage=self.storage, study_name=self.study, direction=self.direction, load_if_exists=True
        )
        sampler = pkgutil.resolve_name(self.sampler)
        study.sampler = sampler(seed=self.seed + len(study.trials), **self.sampler_options)
        _take_up(study, space)
        while (left := self.trials - _finished(study)) > 0:
            batch = [study.ask(space) for _ in range(min(left, self.parallel))]
            overrides = [[*fixed, *(f"{key}={value}" for key, value in trial.params.items())] for trial in batch]
            jobs = self.launcher.launch(overrides, initial_job_idx=batch[0].number)
            for trial, job in zip(batch, jobs, strict=True):
                _tell(study, trial, job)
        if any(trial.state.name == "COMPLETE" for trial in study.trials):
            found = " ".join(f"{key}={_short(value)}" for key, value in study.best_params.items())
            print(f"Best of {_finished(study)} trials: {study.best_value:.4f} with {found}")


def read_space(arguments: Sequence[str], parser: OverridesParser) -> tuple[list[str], dict[str, Any]]:
    """Tell what is fixed from what is searched.

    Args:
        arguments: overrides; of two for one key the last counts.
        parser: of Hydra's grammar.

    Returns:
        The fixed ones as they are, and Optuna's distributions by key.

    Raises:
        UserError: Optuna is not installed.
    """
    fixed: dict[str, str] = {}
    space: dict[str, Any] = {}
    for override in parser.parse_overrides(list(arguments)):
        key = override.get_key_element()
        fixed.pop(key, None)
        space.pop(key, None)
        if override.is_sweep_override():
            space[key] = _distribution(override)
        else:
            fixed[key] = str(override.input_line)
    return list(fixed.values()), space


def _distribution(override: Override) -> Any:
    try:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    except ImportError as error:
        from flowchroma.errors import UserError

        raise UserError("hydra/sweeper=optuna needs Optuna: pip install 'flowchroma[sweeps]'") from error
    if not override.is_interval_sweep():
        choices: Any = override.sweep_iterator(transformer=Transformer.encode)
        return CategoricalDistribution([*choices])
    value: Any = override.value()
    whole = isinstance(value.start, int) and isinstance(value.end, int)
    return (IntDistribution if whole else FloatDistribution)(value.start, value.end, log="log" in value.tags)


def _take_up(study: Any, space: Mapping[str, Any]) -> None:
    """End the trials that a killed sweep left running, and put them in the queue again."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.set_user_attr(_KILLED, [*study.user_attrs.get(_KILLED, ()), trial.number])
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params.keys() == space.keys():
            study.enqueue_trial(trial.params)


def _finished(study: Any) -> int:
    killed = study.user_attrs.get(_KILLED, ())
    return sum(trial.state.is_finished() and trial.number not in killed for trial in study.trials)


def _tell(study: Any, trial: Any, job: Any) -> None:
    """Hand a job's figure to Optuna; a job without one has failed, and the sweep goes on."""
    from optuna.trial import TrialState

    try:
        value = float(job.return_value)
    except Exception:  # whatever a job died of is its own affair
        value = math.nan
    if math.isfinite(value):
        study.tell(trial, value)
    else:
        study.tell(trial, state=TrialState.FAIL)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""A film's shots shared among the jobs of a Hydra launcher, and joined when these end."""

import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.colouring import job
from flowchroma.app.colouring.choices import pick_precision, some_of
from flowchroma.app.options import escape, option_error
from flowchroma.app.settings import CONF, configure_logging, pick_device
from flowchroma.errors import UserError, user_error_behind

_QUIET = ("hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none")


def run(config: DictConfig, launcher: Sequence[str]) -> None:
    """Colour a film in several jobs at once.

    Args:
        config: What is to be done. shots=1-3,4-6 are two jobs' shots; parts=4 shares all shots evenly among four.
        launcher: Hydra's own options, as typed.

    Raises:
        UserError: it cannot be done, or a job failed.
    """
    listed, parts = config.shots, config.parts
    _check(listed, parts, launcher)
    # Jobs on other machines are to compute as this one does.
    precision = pick_precision(config.precision, pick_device(config.device))
    config = OmegaConf.merge(config, {"parts": None, "precision": precision})  # type: ignore[assignment]
    shares, folder = _to_do(config, listed, parts)
    if shares:
        _launch(config, shares, launcher, folder)
    job.run(config)


def _check(listed: str | None, parts: object, launcher: Sequence[str]) -> None:
    if (listed is None) == (parts is None):
        raise UserError("-m shares a film's shots among jobs: give parts=4, or shots=1-3,4-6 for two jobs", code=2)
    if parts is not None and (not isinstance(parts, int) or isinstance(parts, bool) or parts < 1):
        raise UserError(f"parts must be a whole number of jobs from 1 on, not {parts}", code=2)
    try:
        with initialize_config_dir(CONF, version_base="1.3"):
            compose("colorize", overrides=list(launcher))
    except Exception as error:  # whatever a plugin says of its options
        raise option_error(error) from error


def _to_do(config: DictConfig, listed: str | None, parts: Any) -> tuple[list[str], Path]:
    """The shots of each job that has something to do, and a folder for what jobs leave."""
    with job.begun(config, shared=True) as whole:
        shares = [part.strip() for part in str(listed).split(",")] if listed else _shares(whole, parts)
        left = [share for share in shares if whole.frames_to_do(some_of(whole.assignments, share))]
        return left, whole.store.folder / "jobs"


def _shares(whole: job.Job, parts: int) -> list[str]:
    """Shots that are not done, in lists of about as many frames."""
    costs = {n: whole.frames_to_do([assignment]) for n, assignment in enumerate(whole.assignments, 1)}
    shares: list[list[int]] = [[] for _ in range(parts)]
    for number in sorted(costs, key=lambda n: -costs[n]):
        min(shares, key=lambda share: sum(costs[n] for n in share)).append(number)
    return [",".join(map(str, sorted(share))) for share in shares if share]


class Share:
    """What a launcher runs: a job that colours the shots it is given.

    Launchers pickle it. It leaves files in its folder: NUMBER.begun, and NUMBER.failed where it fails.

    Args:
        config: Of the whole film.
        folder: For what jobs leave.
    """

    def __init__(self, config: DictConfig, folder: Path) -> None:
        self._config: Any = OmegaConf.to_container(config, resolve=True)
        self._folder = folder

    def __call__(self, config: DictConfig) -> None:
        """Colour the shots of `config`, and nothing else of it."""
        configure_logging()
        place = self._folder / str(HydraConfig.get().job.num)
        place.with_suffix(".begun").touch()
        try:
            with ExitStack() as stack:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the process that launched this one has said all of it
                    options = OmegaConf.create({**self._config, "shots": config.shots})
                    mine = stack.enter_context(job.begun(options))
                job.paint(mine, alone=False)
        except Exception as error:
            line = str(user_error_behind(error) or f"{type(error).__name__}: {error}")
            place.with_suffix(".failed").write_text(
                f"{' '.join(line.split())}\n\n{traceback.format_exc()}", encoding="utf-8"
            )


def _launch(config: DictConfig, shares: Sequence[str], launcher: Sequence[str], folder: Path) -> None:
    """Have Hydra run a job for each share, and wait for all."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    values = ",".join(f"'{share}'" for share in shares)
    sweep = f"hydra.sweep.dir='{escape(str(folder.absolute()), mark=chr(39))}'"
    typed, sys.argv = sys.argv, [sys.argv[0], "-m", f"shots={values}", sweep, *_QUIET, *launcher]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra would print what it raises, and leave
    print(f"{len(shares)} jobs share the shots that are to be coloured", file=sys.stderr)
    try:
        hydra.main(version_base="1.3", config_path=CONF, config_name="colorize")(Share(config, folder))()
    except Exception as error:  # of the launcher
        lost = " ".join(str(error).split())[:200]
        if user_error_behind(error) or not any(folder.glob("*.begun")):
            raise user_error_behind(error) or option_error(error) from error
        raise UserError(f"a job was lost ({type(error).__name__}: {lost}); the same command goes on") from error
    finally:
        sys.argv = typed
    failed = sorted(folder.glob("*.failed"))
    if failed:
        first = failed[0].read_text(encoding="utf-8").splitlines()[0]
        raise UserError(f"{len(failed)} of {len(shares)} jobs failed, as {failed[0]} says: {first}")
    shutil.rmtree(folder, ignore_errors=True)

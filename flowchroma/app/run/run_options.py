"""Options of `python -m flowchroma.run`, which Hydra reads: flags, old spellings, and one line for what is wrong."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

from hydra.main import get_args_parser
from omegaconf import OmegaConf

from flowchroma.app.options import DATA_TEXTS, asks_for_help, option_error, quote
from flowchroma.app.settings import CONF
from flowchroma.errors import UserError, user_error_behind

TEXTS = (
    *DATA_TEXTS, "name", "resume", "run_dir", "weights", "loss.weights", "*.trunk.weights", "trainer.default_root_dir",
    "logger.*.path", "logger.*.save_dir", "logger.*.id_file", "callbacks.*.path", "callbacks.*.directory",
    "callbacks.*.dirpath", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.launcher.submitit_folder",
)  # fmt: skip
_ABOUT_HYDRA = """
Hydra reads the options: its pages, at hydra.cc, say how. Choices of its own groups, such as hydra/launcher, are listed
where one is wrong, and --cfg hydra prints what it is set to."""


def report_bad_options(main: Callable[[], None]) -> Callable[[], None]:
    """Let a `hydra.main` take options in the spelling of earlier releases, and say in one line which one is wrong.

    Help is printed without Hydra, which copies its repository of configs anew for each group that it would list: that
    takes minutes.
    """

    @wraps(main)
    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra would print what it raises, and leave
        sweep = bool({"-m", "--multirun"} & set(sys.argv[1:]))
        sys.argv[1:] = [quote(current_spelling(argument), TEXTS, True, sweep) for argument in sys.argv[1:]]
        try:
            if asks_for_help(sys.argv[1:]):
                print(OmegaConf.load(Path(CONF, "hydra", "help", "flowchroma.yaml")).template)
            elif read_flags(sys.argv[1:]).hydra_help:
                print(get_args_parser().format_usage() + _ABOUT_HYDRA)
            else:
                main()
        except Exception as error:  # what a run itself dies of, it says itself
            user_error = user_error_behind(error) or option_error(error)
            print(f"flowchroma: {user_error}", file=sys.stderr)
            sys.exit(user_error.code)

    return run


def read_flags(arguments: Sequence[str]) -> Any:
    """Hydra's flags among what is typed.

    Raises:
        UserError: one is unknown, has a value that it cannot have, or stands without what it belongs to.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; see --hydra-help", code=2)

    parser.error = refuse  # type: ignore[method-assign]  # it prints a page and leaves
    flags = parser.parse_args(arguments)
    if (flags.resolve or flags.package) and not flags.cfg:
        refuse("--resolve and --package belong to --cfg")
    if flags.shell_completion and not any(f"{do}=" in " ".join(arguments) for do in ("install", "uninstall", "query")):
        refuse("--shell-completion takes install=SHELL, uninstall=SHELL or query=SHELL")
    if flags.experimental_rerun is not None and not Path(flags.experimental_rerun).is_file():
        refuse(f"--experimental-rerun {flags.experimental_rerun}: there is no such file")
    return flags


def current_spelling(argument: str) -> str:
    """An option as it is spelled today: `+stage.flow.checkpoint=RUN` of earlier releases is `weights.flow=RUN`."""
    found = re.fullmatch(r"([+~]*)(model|stage\.flow|stage\.matcher)\.checkpoint(=.*)?", argument, re.DOTALL)
    if found is None:
        return argument
    sign, network, value = found.groups()
    return f"weights.{network.removeprefix('stage.')}" + ("=null" if sign == "~" else value or "")

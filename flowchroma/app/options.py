"""Options as typed after a command: old spellings, paths with any character, and one line for those that are wrong."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from flowchroma.app.settings import CONF, configure_logging
from flowchroma.app.signals import EndedError, ended_by_signals
from flowchroma.errors import UserError, user_error_behind


def command(name: str, task: Callable[[DictConfig], None], texts: Sequence[str], lost: str) -> None:
    """Run an entry point whose options are those of conf/NAME.yaml, and say in one line what went wrong.

    Args:
        name: of the config.
        task: called with the composed config.
        texts: options whose values are taken literally, as paths are.
        lost: what an interrupt leaves behind, for its message.
    """
    try:
        with initialize_config_dir(CONF, version_base="1.3"):
            if {"-h", "--help"} & set(sys.argv[1:]):
                print(compose(name, return_hydra_config=True).hydra.help.template)
                return
            config = compose_options(name, sys.argv[1:], texts)
        configure_logging()
        with ended_by_signals():
            task(config)
    except Exception as error:
        user_error = user_error_behind(error)
        if user_error is None:
            raise
        print(f"flowchroma: {user_error}", file=sys.stderr)
        sys.exit(user_error.code)
    except KeyboardInterrupt as error:
        how, code = (f"ended by {error}", error.code) if isinstance(error, EndedError) else ("interrupted", 130)
        print(f"flowchroma: {how}, {lost}", file=sys.stderr)
        sys.exit(code)


@contextmanager
def report_user_error() -> Iterator[None]:
    """Print a `UserError` as one line, and exit with its code."""
    try:
        yield
    except UserError as error:
        print(f"flowchroma: {error}", file=sys.stderr)
        sys.exit(error.code)


def compose_options(name: str, arguments: Sequence[str], texts: Sequence[str]) -> DictConfig:
    """Compose a config from key=value arguments, within `initialize_config_dir`.

    Args:
        name: of the config.
        arguments: as typed.
        texts: see `command`.

    Raises:
        UserError: One of them is no option, or has no value that Hydra can read.
    """
    known = [str(key) for key in compose(name)]
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if not equals or key.lstrip("+").split(".")[0] not in known:
            raise UserError(f"unknown option {argument!r}: give {'=, '.join(known)}=, or --help", code=2)
    try:
        return compose(name, overrides=[quote(argument, texts) for argument in arguments])
    except (HydraException, OmegaConfBaseException) as error:
        raise option_error(error) from error


def report_bad_options(main: Callable[[], None]) -> Callable[[], None]:
    """Let a `hydra.main` take options in the spelling of earlier releases, and say in one line which one is wrong."""

    @wraps(main)
    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra would print what it raises, and leave
        sys.argv[1:] = [current_spelling(argument) for argument in sys.argv[1:]]
        try:
            main()
        except (ConfigCompositionException, OverrideParseException, UserError) as error:
            user_error = user_error_behind(error) or option_error(error)
            print(f"flowchroma: {user_error}", file=sys.stderr)
            sys.exit(user_error.code)

    return run


def current_spelling(argument: str) -> str:
    """An option as it is spelled today: `+stage.flow.checkpoint=RUN` of earlier releases is `weights.flow=RUN`."""
    found = re.fullmatch(r"([+~]*)(model|stage\.flow|stage\.matcher)\.checkpoint(=.*)?", argument, re.DOTALL)
    if found is None:
        return argument
    sign, network, value = found.groups()
    return f"weights.{network.removeprefix('stage.')}" + ("=null" if sign == "~" else value or "")


def option_error(error: Exception) -> UserError:
    """One line for what Hydra says of an option that it cannot use."""
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        plugins = "; pip install 'flowchroma[sweeps]' brings the others" if group.startswith("hydra/") else ""
        choices = ", ".join(option for option in error.options if not option.startswith("_"))
        return UserError(f"no {group}={name}: choose from {choices}{plugins}", code=2)
    reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
    return UserError(f"cannot read the options: {reason}; see --help", code=2)


def quote(argument: str, texts: Sequence[str]) -> str:
    """Quote a path for Hydra's grammar, so that blanks, commas, brackets and = in it need no care of the user's."""
    key, _, value = argument.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    taken = any(f"{key.lstrip('+')}.".startswith(f"{text}.") for text in texts)
    if not taken or quoted or value in ("", "null"):
        return argument
    value = re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + end[2].replace("'", "\\'"), value)
    return f"{key}='{value.replace('${', chr(92) + '${')}'"


def parts_of(value: str) -> list[str]:
    """The parts of a typed list such as [a,b]; one part where it is none."""
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return [part.strip() for part in inner.split(",") if part.strip()]


def named_references(typed: str) -> list[str]:
    """The references that were typed: one, or several as [A,B].

    Raises:
        UserError: there is none.
    """
    several = typed.startswith("[") and typed.endswith("]") and not Path(typed).expanduser().exists()
    names = parts_of(typed) if several else [typed]
    if not names or typed in ("", "None"):
        raise UserError("no reference: give reference=IMAGE, reference=first, or several as reference=[A,B]")
    return names

"""What is typed after a command, read so that a path needs no care of the user's."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps

from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from flowchroma.app.settings import CONF, advice_in, quiet
from flowchroma.app.signals import EndedError, ended_by_signals
from flowchroma.errors import UserError


def command(name: str, task: Callable[[DictConfig], None], texts: Sequence[str], lost: str) -> None:
    """Run an entry point whose options are those of conf/NAME.yaml, and say in one line what went wrong.

    Args:
        name: of the config.
        task: is given the composed config.
        texts: options that are taken as typed, whatever is in them.
        lost: what an interrupt leaves behind, for its message.
    """
    try:
        with initialize_config_dir(CONF, version_base="1.3"):
            if {"-h", "--help"} & set(sys.argv[1:]):
                print(compose(name, return_hydra_config=True).hydra.help.template)
                return
            config = compose_options(name, sys.argv[1:], texts)
        quiet()
        with ended_by_signals():
            task(config)
    except Exception as error:
        advice = advice_in(error)
        if advice is None:
            raise
        print(f"flowchroma: {advice}", file=sys.stderr)
        sys.exit(advice.code)
    except KeyboardInterrupt as error:
        how, code = (f"ended by {error}", error.code) if isinstance(error, EndedError) else ("interrupted", 130)
        print(f"flowchroma: {how}, {lost}", file=sys.stderr)
        sys.exit(code)


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
        raise misread(error) from error


def say_options(main: Callable[[], None]) -> Callable[[], None]:
    """Let a `hydra.main` say in one line which of its options is wrong."""

    @wraps(main)
    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra would print what it raises, and leave
        try:
            main()
        except (ConfigCompositionException, OverrideParseException, UserError) as error:
            advice = advice_in(error) or misread(error)
            print(f"flowchroma: {advice}", file=sys.stderr)
            sys.exit(advice.code)

    return run


def misread(error: Exception) -> UserError:
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

"""Options as typed after a command: old spellings, paths with any character, and one line for those that are wrong."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowchroma.app.settings import CONF, configure_logging
from flowchroma.app.signals import TerminatedError, raise_on_signals
from flowchroma.errors import UserError, user_error_behind

Task = Callable[..., None]

_QUOTED = r"""('(\\'|[^'])*'|"(\\"|[^"])*")"""
# What Hydra itself reads as several values.
_SWEEP = rf"(choice|glob|range|interval|sort|shuffle|tag)\(.*|{_QUOTED}(,{_QUOTED})*"

# Options of every command that reads a set of films: see `quote`.
DATA_TEXTS = tuple(f"data.{name}" for name in ("root", *(f"sources.*.{n}" for n in ("root", "cache", "*_list"))))


def command(name: str, task: Task | str, texts: Sequence[str], lost: str, *more: Any) -> None:
    """Run an entry point whose options are those of conf/NAME.yaml, and say in one line what went wrong.

    Args:
        name: of the config.
        task: called with the composed config; or its dotted name, where importing all
            that it needs takes seconds, which no wrong option has to wait for.
        texts: options whose values are taken literally, as paths are.
        lost: what an interrupt leaves behind, for its message.
        more: what the function is given beside the config.
    """
    try:
        if asks_for_help(sys.argv[1:]):
            print(OmegaConf.load(Path(CONF, f"{name}.yaml")).hydra.help.template)
            return
        with initialize_config_dir(CONF, version_base="1.3"):
            config = compose_options(name, sys.argv[1:], texts)
        configure_logging()
        run = resolve_name(task) if isinstance(task, str) else task
        with raise_on_signals():
            run(config, *more)
    except Exception as error:
        user_error = user_error_behind(error)
        if user_error is None:
            raise
        print(f"flowchroma: {user_error}", file=sys.stderr)
        sys.exit(user_error.code)
    except KeyboardInterrupt as error:
        how, code = (f"ended by {error}", error.code) if isinstance(error, TerminatedError) else ("interrupted", 130)
        print(f"flowchroma: {how}, {lost}", file=sys.stderr)
        sys.exit(code)


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether what is typed asks for a command's help, whatever else it says."""
    return bool({"-h", "--help"} & set(arguments))


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


def option_error(error: Exception) -> UserError:
    """One line for what Hydra says of an option that it cannot use."""
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        return _no_such_choice(error.missing_cfg_file, error.options)
    if unknown := re.search(r"Could not load '([^']+/[^']*)'", str(error)):  # one of several choices of a group
        folder = Path(CONF, unknown[1]).parent
        return _no_such_choice(unknown[1], sorted(path.stem for path in folder.glob("*.yaml")))
    reason = " ".join(line.strip() for line in str(error).splitlines()[:2]).rstrip(". ")
    if reason.startswith("Config group override must be"):
        return UserError("a group, such as logger or model, needs the name of a choice, not null: see --help", code=2)
    what = "read the options" if isinstance(error, HydraException | OmegaConfBaseException) else "start"
    return UserError(f"cannot {what}: {reason or type(error).__name__}; see --help", code=2)


def _no_such_choice(place: str, options: Iterable[str]) -> UserError:
    group, _, name = place.rpartition("/")
    plugins = "; pip install 'flowchroma[sweeps]' brings the others" if group.startswith("hydra/") else ""
    choices = ", ".join(option for option in options if not option.startswith("_"))
    return UserError(f"no {group}={name}: choose from {choices}{plugins}", code=2)


def quote(argument: str, texts: Sequence[str], interpolated: bool = False, sweep: bool = False) -> str:
    """Quote what an option is given for Hydra's grammar, so that blanks, commas, brackets and = need no care of users.

    Each path of a mapping, as data.root={davis:A,videvo:B}, is quoted by itself. What is quoted already stays as it is.

    Args:
        argument: as typed.
        texts: the options that are taken literally, with all below them; * stands for any text.
        interpolated: whether ${...} is left to Hydra, and not literal.
        sweep: whether commas part several values, but for those in the name of what exists; functions that give
            several, as glob(*) does, are then left to Hydra.
    """
    key, _, value = argument.partition("=")
    name = f"{key.lstrip('+')}."
    if not any(fnmatchcase(name, f"{text}.*") for text in texts):
        return argument
    if not sweep or name.startswith("hydra.") or value.startswith("{") or "${" in value:
        return f"{key}={_quoted(value, interpolated)}"
    if re.fullmatch(_SWEEP, value, re.DOTALL):
        return argument
    return f"{key}={','.join(_quoted(part, interpolated) for part in split_names(value))}"


def _quoted(value: str, interpolated: bool) -> str:
    if value in ("", "null") or (re.fullmatch(_QUOTED, value, re.DOTALL) and not exists(value)):
        return value
    if re.match(r"\{\s*\w+\s*:", value) and value.endswith("}") and not exists(value):
        paths = (entry.partition(":") for entry in re.split(r",(?=\s*\w+\s*:)", value[1:-1]))
        return f"{{{','.join(f'{name}:{_quoted(path.strip(), interpolated)}' for name, _, path in paths)}}}"
    return f"'{escape(value if interpolated else value.replace('${', chr(92) + '${'), mark=chr(39))}'"


def escape(text: str, mark: str) -> str:
    """A text as it stands between two quotation marks in Hydra's grammar."""
    return re.sub(rf"(\\*)({mark}|$)", lambda end: end[1] * 2 + end[2].replace(mark, f"\\{mark}"), text)


def parts_of(typed: str) -> list[str]:
    """The names in a list as typed, [A,B] or A,B; what exists may have commas or brackets in its name."""
    several = typed.startswith("[") and typed.endswith("]") and not exists(typed)
    return split_names(typed[1:-1] if several else typed)


def split_names(text: str) -> list[str]:
    """The names that commas part; what exists may have commas in its name, and blanks around it."""
    pieces, parts = text.split(","), []
    while pieces:
        joined = [(n, ",".join(pieces[:n])) for n in range(len(pieces), 0, -1)]  # the longest name that exists
        names = ((n, name) for n, both in joined for name in (both, both.strip()) if exists(name))
        count, name = next(names, (1, pieces[0].strip()))
        parts.append(name)
        pieces = pieces[count:]
    return [part for part in parts if part]


def exists(name: str) -> bool:
    """Whether there is something of a name as typed, however long that is."""
    return os.path.exists(os.path.expanduser(name))  # noqa: PTH110, PTH111 (Path.exists raises where a name is too long)


def named_references(typed: str) -> list[str]:
    """The references that were typed: one, or several as [A,B].

    Raises:
        UserError: there is none.
    """
    names = parts_of(typed) if typed.startswith("[") and typed.endswith("]") else [typed]
    if not names or typed in ("", "None"):
        raise UserError("no reference: give reference=IMAGE, reference=first, or several as reference=[A,B]")
    return names

"""What a class or function that `_target_` names may be given, by the names and types of its own signature."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from inspect import Parameter, isclass, signature, unwrap
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from flowchroma.app.networks import find_target
from flowchroma.app.run.values import Anything, Either, Kind, Number, Several, Table, Text, check_value, optional, words
from flowchroma.errors import UserError

_PLAIN: Mapping[Any, Kind] = {
    bool: words(True, False), int: Number(whole=True), float: Number(), NoneType: words(None),
    str: Text(empty=True), Path: Text(), os.PathLike: Text(),
}  # fmt: skip
_OPEN = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL, Parameter.POSITIONAL_ONLY)
# Where arguments go that a signature leaves open.
_HANDED_ON = {
    "flowchroma.training.adamw_by_part": "torch.optim.AdamW",
    "flowchroma.training.Wandb": "lightning.pytorch.loggers.WandbLogger",
    "lightning.pytorch.loggers.WandbLogger": "wandb.init",
    "lightning.pytorch.strategies.DDPStrategy": "torch.nn.parallel.DistributedDataParallel",
}


@dataclass(frozen=True)
class Built:
    """What a `_target_` builds: an instance of a class, or anything that is called where the class is None."""

    of: type | None

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        if not isinstance(value, Mapping) or "_target_" not in value:
            return False
        if self.of is None:
            return True
        found = find_target(value["_target_"])
        made = found if isclass(found) else _hints(found).get("return")
        try:
            return not value.get("_partial_") and (not isclass(made) or issubclass(made, self.of))
        except TypeError:  # of a Protocol that tells instances alone
            return True

    def __str__(self) -> str:
        return f"{self.of.__name__ if self.of else 'a function'} by its _target_"


def check_arguments(config: Any, key: str = "") -> None:
    """Refuse arguments that a class or function does not take, or of another type than it takes.

    Args:
        config: plain, with a `_target_` anywhere in it.
        key: of the config, for messages.

    Raises:
        UserError: with the option, and what it may be.
    """
    for where, node in _nodes(config, key):
        target = node["_target_"]
        kinds, more = _arguments(target, where)
        for name, value in node.items():
            if name.startswith("_"):  # Hydra's own
                continue
            if name not in kinds and not more:
                known = ", ".join(kinds) or "none"
                raise UserError(f"{where}.{name} is no option: those of {target} are {known}", code=2)
            check_value(f"{where}.{name}", value, kinds.get(name, Anything()))


def _nodes(config: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What has a `_target_`, by its dotted key, after all that is within it."""
    if isinstance(config, list):
        config = dict(enumerate(config))
    if not isinstance(config, Mapping):
        return
    for name, value in config.items():
        yield from _nodes(value, f"{key}.{name}" if key else str(name))
    if "_target_" in config:
        yield key, config


def _arguments(target: Any, where: str) -> tuple[dict[str, Kind], bool]:
    """The kind of each named argument, and whether there may be others."""
    found = find_target(target, where)
    try:
        parameters = signature(found).parameters.values()
    except (TypeError, ValueError):  # of what is written in C
        return {}, True
    hints = _hints(found)
    kinds = {p.name: _kind_of_parameter(p, hints) for p in parameters if p.kind not in _OPEN}
    if all(p.kind != Parameter.VAR_KEYWORD for p in parameters):
        return kinds, False
    if target not in _HANDED_ON:
        return {name: kind_of(hint) for name, hint in hints.items()} | kinds, True
    others, more = _arguments(_HANDED_ON[target], where)
    return others | kinds, more


def _hints(found: Any) -> dict[str, Any]:
    """The types of a function's arguments; of a class, those of the constructors above it as well."""
    classes = found.__mro__ if isclass(found) else ()
    functions = [vars(one)["__init__"] for one in reversed(classes) if "__init__" in vars(one)] or [found]
    hints: dict[str, Any] = {}
    for function in map(unwrap, functions):
        names = getattr(function, "__globals__", None)
        for name, hint in getattr(function, "__annotations__", {}).items():
            with suppress(Exception):  # of names that are there for type checkers alone
                hints |= get_type_hints(SimpleNamespace(__annotations__={name: hint}), names)
    return hints


def _kind_of_parameter(parameter: Parameter, hints: Mapping[str, Any]) -> Kind:
    default = parameter.default
    kind = kind_of(hints.get(parameter.name, bool if isinstance(default, bool) else Any))
    return optional(kind) if default is None and not kind.holds(None) else kind


def kind_of(hint: Any) -> Kind:
    """The values in a config that a type stands for."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return Anything()
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Literal:
        return words(*parts)
    if origin in (Union, UnionType):
        return Either(tuple(map(kind_of, parts)))
    if hint is Callable or origin is Callable:
        return Built(None)
    if not parts or not isclass(origin):
        named = isclass(hint) and hint.__module__ not in ("builtins", "torch") and not issubclass(hint, Iterable)
        return Built(hint) if named else Anything()
    if issubclass(origin, Mapping):
        return Table(kind_of(parts[0]), kind_of(parts[1]))
    if issubclass(origin, tuple) and ... not in parts:
        return Several(kind_of(parts[0]), len(parts)) if len({*parts}) == 1 else Anything()
    return Several(kind_of(parts[0]), empty=True) if issubclass(origin, Iterable) else Anything()

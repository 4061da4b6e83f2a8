"""The weighted sum of terms, by name."""

import math
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from flowchroma.errors import UserError
from flowchroma.losses.prediction import Prediction
from flowchroma.losses.trunk import FeatureTerm, MatchingTrunk

NEEDS_MATCHING = "this loss looks through the trunk of a matching network: use it with stage=swintexco"

Term = nn.Module | Callable[[], nn.Module]


class LossValues(NamedTuple):
    """A loss and what it is made of."""

    total: Tensor  # scalar, with gradient
    unweighted: dict[str, Tensor]  # each term's scalar, detached
    weighted: dict[str, Tensor]  # the same times its weight; they sum to the total

    def plus(self, name: str, value: Tensor, weight: float) -> "LossValues":
        """The same with one more term, a scalar."""
        part = weight * value
        unweighted, weighted = self.unweighted | {name: value.detach()}, self.weighted | {name: part.detach()}
        return LossValues(self.total + part, unweighted, weighted)


class WeightedSum(nn.Module):
    """Sum of weight times term, in the terms' order. A term of weight 0 is neither built nor computed.

    Args:
        terms: each a module from a `Prediction` to a scalar, or a function without arguments that builds one.
        weights: one for each term, at least 0.

    Raises:
        UserError: a weight without a term, a term without a weight, a weight that is no number of at least 0, all of
            them 0, or whatever a term refuses.
    """

    def __init__(self, terms: Mapping[str, Term], weights: Mapping[str, float]) -> None:
        super().__init__()
        _check(terms, weights)
        self.weights = {name: float(weights[name]) for name in terms if weights[name]}
        built = {name: term if isinstance(term := terms[name], nn.Module) else term() for name in self.weights}
        self.terms = nn.ModuleDict(built)
        trunks = [term.trunk for term in built.values() if isinstance(term, FeatureTerm)]
        # Asked once all terms have said which layers they read, since this loads the trunk.
        self.trunk_used = "; ".join(dict.fromkeys(trunk.used for trunk in trunks)) or None

    def forward(self, prediction: Prediction) -> LossValues:
        """Compute every term of a frame."""
        values = {name: term(prediction) for name, term in self.terms.items()}
        parts = {name: self.weights[name] * value for name, value in values.items()}
        return LossValues(
            torch.stack(list(parts.values())).sum(),
            {name: value.detach() for name, value in values.items()},
            {name: part.detach() for name, part in parts.items()},
        )


def weighted_sum(
    terms: Mapping[str, Term],
    settings: Collection[str] = (),
    matching_trunk: nn.Module | None = None,
    **options: Any,
) -> WeightedSum:
    """Build a `WeightedSum` whose weights are keyword arguments, as a file of conf/loss gives them.

    Args:
        terms: what builds each term, by its name.
        settings: which of the options are no weights: the terms' arguments name them by interpolation.
        matching_trunk: of the matching network that is trained; those terms have it that compare features and name no
            trunk of their own. It is frozen if one of them has weight.
        options: the weight of each term by its name, and the settings.

    Raises:
        UserError: as `WeightedSum`; or a term with weight needs `matching_trunk`, and there is none.
    """

    @cache
    def shared_trunk() -> MatchingTrunk:
        if matching_trunk is None:
            raise UserError(NEEDS_MATCHING)
        return MatchingTrunk(matching_trunk)

    def with_trunk(build: Callable[..., nn.Module]) -> nn.Module:
        return build(trunk=shared_trunk())

    given = {name: partial(with_trunk, term) if _lacks_trunk(term) else term for name, term in terms.items()}
    return WeightedSum(given, {name: value for name, value in options.items() if name not in settings})


def _lacks_trunk(term: Term) -> bool:
    if not isinstance(term, partial) or "trunk" in term.keywords:
        return False
    return isinstance(term.func, type) and issubclass(term.func, FeatureTerm)


def _check(terms: Mapping[str, Term], weights: Mapping[str, Any]) -> None:
    if unknown := sorted(set(weights) - set(terms)):
        raise UserError(f"the loss has no term {', '.join(unknown)}: it has {', '.join(sorted(terms))}", code=2)
    if missing := sorted(set(terms) - set(weights)):
        raise UserError(f"the loss's term {', '.join(missing)} has no weight: give one (0 switches it off)", code=2)
    for name, weight in weights.items():
        if not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
            raise UserError(f"the loss's weight of {name} is {weight}: give a number of at least 0", code=2)
    if not any(weights.values()):
        raise UserError("every term of the loss has weight 0: give at least one a weight above 0", code=2)

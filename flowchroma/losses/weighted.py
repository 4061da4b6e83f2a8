"""The weighted sum of terms, by name."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flowchroma.errors import UserError
from flowchroma.losses.batch import Prediction


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
    """Sum of weight times term. A term of weight 0 is not computed.

    Args:
        terms: modules from a `Prediction` to a scalar.
        weights: one for each term, at least 0.
        trunk_used: which feature network the terms have, for the run's record.

    Raises:
        UserError: a weight without a term, a term without a weight, a weight below 0 or not finite, or all of them 0.
    """

    def __init__(
        self, terms: Mapping[str, nn.Module], weights: Mapping[str, float], trunk_used: str | None = None
    ) -> None:
        super().__init__()
        if unknown := sorted(set(weights) - set(terms)):
            raise UserError(f"the loss has no term {', '.join(unknown)}: it has {', '.join(sorted(terms))}")
        if missing := sorted(set(terms) - set(weights)):
            raise UserError(f"the loss's term {', '.join(missing)} has no weight: give one (0 switches it off)")
        if bad := sorted(name for name, weight in weights.items() if not (math.isfinite(weight) and weight >= 0)):
            raise UserError(f"the loss's weight of {', '.join(bad)} is {weights[bad[0]]}: give a number of at least 0")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}
        if not self.weights:
            raise UserError("every term of the loss has weight 0: give at least one a weight above 0")
        self.terms = nn.ModuleDict({name: terms[name] for name in self.weights})
        self.trunk_used = trunk_used

    def forward(self, prediction: Prediction) -> LossValues:
        """Compute every term of a frame."""
        values = {name: term(prediction) for name, term in self.terms.items()}
        parts = {name: self.weights[name] * value for name, value in values.items()}
        return LossValues(
            torch.stack(list(parts.values())).sum(),
            {name: value.detach() for name, value in values.items()},
            {name: part.detach() for name, part in parts.items()},
        )

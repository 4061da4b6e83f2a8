import copy
import dataclasses

import pytest
import torch
from torch import nn

from flowchroma.color import lab_to_rgb
from flowchroma.errors import UserError
from flowchroma.losses import MatchingTrunk, contextual_loss


class Pyramid(nn.Module):
    """Levels as timm gives them: a list, the finest first."""

    def __init__(self, levels=4):
        super().__init__()
        self.steps = nn.ModuleList(nn.Conv2d(3 if k == 0 else 4, 4, 3, stride=2, padding=1) for k in range(levels))

    def forward(self, rgb):
        found = []
        for step in self.steps:
            rgb = step(rgb).relu()
            found.append(rgb)
        return found


def test_published_weights_and_terms(build_loss, frame, smooth):
    p = frame(reference=smooth(2, 3, 24, 40, 50)[:, None])
    network = Pyramid()
    values = build_loss("swintexco")(matching_trunk=network)(p)
    weights = {"l1": 1.0, "perceptual": 0.15, "contextual": 0.015, "smoothness": 150.0}
    assert {name: float(values.weighted[name] / values.unweighted[name]) for name in weights} == pytest.approx(weights)
    assert set(values.weighted) == set(weights)
    torch.testing.assert_close(values.unweighted["l1"], (p.ab - p.target_ab).abs().mean())
    output, truth, reference = (network(lab_to_rgb(x)) for x in (p.lab, p.target_lab, p.reference[:, 0]))
    torch.testing.assert_close(values.unweighted["perceptual"], (output[3] - truth[3]).square().mean())
    parts = [contextual_loss(a, b, seeker="output").mean() for a, b in zip(output, reference, strict=True)]
    torch.testing.assert_close(
        values.unweighted["contextual"], 1 * parts[0] + 2 * parts[1] + 4 * parts[2] + 8 * parts[3]
    )


def test_a_trunk_with_fewer_levels_lacks_the_finest(build_loss):
    loss = build_loss("swintexco")
    assert loss(matching_trunk=Pyramid(2)).terms["contextual"].layers == {"deepest": 8.0, "deepest-1": 4.0}
    with pytest.raises(UserError, match="5 levels"):
        loss(matching_trunk=Pyramid(5))


def test_levels_by_name_are_served_as_well(trunk):
    borrowed = MatchingTrunk(trunk.network)
    found, named = borrowed(torch.ones(1, 3, 16, 16) / 2), trunk(torch.ones(1, 3, 16, 16) / 2)
    assert torch.equal(found["deepest"], named["relu2_2"])
    assert torch.equal(found["deepest-1"], named["relu1_2"])


def test_the_trunk_stays_frozen_whatever_its_owner_does(build_loss, frame, smooth):
    network = nn.Sequential(Pyramid(), nn.Dropout())
    owner = nn.ModuleDict({"trunk": network})
    loss = build_loss("swintexco", "loss.l1=0", "loss.smoothness=0")(matching_trunk=owner["trunk"][0])
    owner.train()
    p = frame(reference=smooth(2, 3, 24, 32, 50))
    p = dataclasses.replace(p, ab=p.ab.requires_grad_())
    loss(p).total.backward()
    assert not owner["trunk"][0].training
    assert all(parameter.grad is None for parameter in owner.parameters())
    assert p.ab.grad.abs().sum() > 0
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}
    assert copy.deepcopy(loss).weights == loss.weights


def test_no_trunk_is_needed_or_frozen_where_no_term_reads_it(build_loss):
    partial = build_loss("swintexco", "loss.perceptual=0", "loss.contextual=0", "loss.temporal=0.5")
    network = Pyramid()
    loss = partial(matching_trunk=network)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert loss.weights == {"l1": 1.0, "smoothness": 150.0, "temporal": 0.5}
    assert loss.trunk_used is None
    assert partial().weights == loss.weights
    with pytest.raises(UserError, match="use it with stage=swintexco"):
        build_loss("swintexco")()

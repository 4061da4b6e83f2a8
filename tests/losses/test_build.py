import copy
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from flowchroma.errors import UserError
from flowchroma.losses import color_loss, flow_loss
from flowchroma.weights import SHIPPED_VGG

CONF = Path(__file__).parents[2] / "conf" / "loss"


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def composed(name):
    config = OmegaConf.load(CONF / f"{name}.yaml")
    if "download" in config:
        config.download = False
    return instantiate(config)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("flowchroma", {"l1": 1.0, "perceptual": 0.05, "contextual": 0.1, "temporal": 0.5}),
        ("matching", {"l1": 1.0, "perceptual": 0.05, "contextual": 0.015}),
        ("l1", {"l1": 1.0}),
        ("flow", {"color": 1.0, "epe": 0.1}),
    ],
)
def test_configurations(name, weights, frame, smooth):
    loss = composed(name)
    assert loss.weights == weights
    assert (loss.trunk_used is not None) == ("perceptual" in weights)
    p = frame(
        height=32,
        reference=smooth(2, 3, 32, 32, 50),
        previous_ab=smooth(2, 2, 32, 32),
        previous_target_ab=smooth(2, 2, 32, 32),
        previous_luma=smooth(2, 1, 32, 32, 50),
        flow=torch.rand(2, 2, 32, 32),
        true_flow=torch.rand(2, 2, 32, 32),
        visible=torch.ones(2, 1, 32, 32),
        has_flow=torch.tensor([True, False]),
    )
    values = loss(p)
    assert set(values.unweighted) == set(weights)
    assert all(value > 0 for value in values.unweighted.values())
    torch.testing.assert_close(values.total, torch.stack(list(values.weighted.values())).sum())


def test_terms_share_one_trunk_that_no_checkpoint_carries():
    loss = composed("flowchroma")
    assert loss.terms["perceptual"].trunk is loss.terms["contextual"].trunk
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []
    assert list(loss.buffers()) == []
    network = loss.terms["perceptual"].trunk.network
    loss.train().requires_grad_(True)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert copy.deepcopy(loss).terms["perceptual"].trunk.network is not network


def test_trunk_follows_its_input_also_in_validation(monkeypatch):
    trunk = composed("flowchroma").terms["perceptual"].trunk
    moves = []
    monkeypatch.setattr(trunk.network, "to", lambda device: moves.append((device, torch.is_inference_mode_enabled())))
    with torch.inference_mode():
        trunk(torch.rand(1, 3, 16, 16))
    # Weights moved in inference mode could never be differentiated through again.
    assert moves == [(torch.device("cpu"), False)]


def test_the_stand_in_takes_over_every_layers_weight():
    loss = composed("flowchroma")
    assert loss.trunk_used.startswith("vgg16 to relu4_3 (shipped")
    assert loss.terms["perceptual"].layers == {"relu1_2": 0.25, "relu2_2": 0.25, "relu3_3": 0.25, "relu4_3": 0.25}
    assert loss.terms["contextual"].layers == {"relu3_3": 0.5, "relu4_3": 0.5}


def test_a_trunk_is_loaded_only_if_needed(tmp_path):
    absent = tmp_path / "absent.pth"
    assert color_loss(perceptual=0, contextual=0, weights=absent).trunk_used is None
    with pytest.raises(UserError, match="absent"):
        color_loss(perceptual=0, contextual=1, weights=absent)


def test_named_weights_and_layers():
    loss = color_loss(contextual=0, trunk="vgg16", weights=SHIPPED_VGG, perceptual_layers={"relu1_1": 1, "relu3_3": 3})
    assert loss.terms["perceptual"].layers == {"relu1_1": 0.25, "relu3_3": 0.75}
    assert loss.trunk_used == f"vgg16 ({SHIPPED_VGG})"


@pytest.mark.parametrize(
    "options",
    [
        {"l1": -1.0},
        {"trunk": "alexnet"},
        {"perceptual_layers": {"relu9_9": 1.0}},
        {"perceptual_layers": {"relu1_1": 0}},
    ],
)
def test_bad_options(options):
    with pytest.raises(UserError):
        color_loss(**{"download": False} | options)


def test_a_flow_loss_without_terms():
    with pytest.raises(UserError, match="weight 0"):
        flow_loss(color=0, epe=0)

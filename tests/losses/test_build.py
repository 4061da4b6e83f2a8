import copy
import logging

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from flowchroma.errors import user_error_behind
from flowchroma.losses import EstimatedMotion, ExactMotion, PreviousFrame
from flowchroma.weights import SHIPPED_VGG

OFFLINE = "loss.download=false"


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def said_by(config):
    """What a loss is refused with; Hydra wraps what a constructor raises."""
    with pytest.raises(InstantiationException) as failure:
        instantiate(config.loss)
    return str(user_error_behind(failure.value))


@pytest.fixture
def whole(build_loss):
    return build_loss("flowchroma", OFFLINE)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("flowchroma", {"l1": 1.0, "perceptual": 0.05, "contextual": 0.1, "temporal": 0.5}),
        ("matching", {"l1": 1.0, "perceptual": 0.05, "contextual": 0.015}),
        ("l1", {"l1": 1.0}),
        ("flow", {"color": 1.0, "epe": 0.1}),
        ("flow_self", {"color": 1.0, "census": 0.3, "smoothness": 0.05}),
    ],
)
def test_configurations(build_loss, name, weights, frame, smooth):
    loss = build_loss(name, *([] if name.startswith("flow_") or name == "flow" else [OFFLINE]))
    assert loss.weights == weights
    assert (loss.trunk_used is not None) == ("perceptual" in weights)
    p = frame(
        height=32,
        reference=smooth(2, 3, 32, 32, 50),
        previous=PreviousFrame(smooth(2, 1, 32, 32, 50), smooth(2, 2, 32, 32), smooth(2, 2, 32, 32)),
        estimate=EstimatedMotion(torch.rand(2, 2, 32, 32)),
        exact=ExactMotion(torch.rand(2, 2, 32, 32), torch.ones(2, 1, 32, 32), torch.tensor([True, False])),
    )
    values = loss(p)
    assert set(values.unweighted) == set(weights)
    assert all(value > 0 for value in values.unweighted.values())
    torch.testing.assert_close(values.total, torch.stack(list(values.weighted.values())).sum())


def test_settings_reach_their_terms(compose, build_loss):
    loss = build_loss("flow_self", "loss.gamma=0.5", "loss.order=2", "loss.epe=1")
    assert {term.gamma for term in loss.terms.values()} == {0.5}
    assert loss.terms["smoothness"].order == 2
    assert "order 3" in said_by(compose("loss=flow_self", "loss.order=3"))


def test_terms_share_one_trunk_that_no_checkpoint_carries(whole):
    assert whole.terms["perceptual"].trunk is whole.terms["contextual"].trunk
    assert whole.state_dict() == {}
    assert list(whole.parameters()) == []
    assert list(whole.buffers()) == []
    network = whole.terms["perceptual"].trunk.network
    whole.train().requires_grad_(True)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    other = copy.deepcopy(whole)
    assert other.terms["perceptual"].trunk.network is not network
    assert other.terms["perceptual"].trunk is other.terms["contextual"].trunk


def test_a_trunk_is_loaded_once_to_the_deepest_layer_and_shared_by_what_it_is_made_of(build_loss, caplog, monkeypatch):
    monkeypatch.setattr("flowchroma.losses.trunk._cache", {})  # another test's loss may live on
    with caplog.at_level(logging.WARNING):
        first = build_loss("flowchroma", OFFLINE)
    assert len(caplog.records) == 1  # that the shipped one takes its place is said as often as it is loaded
    assert first.terms["contextual"].trunk.network.layers == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    other = build_loss("flowchroma", "loss.trunk=vgg16", "loss.weights=shipped")
    assert other.terms["contextual"].trunk is not first.terms["contextual"].trunk
    shallow = build_loss("l1", "loss.contextual=1", "loss.weights=shipped", "~loss.terms.contextual.layers.relu4_2")
    assert shallow.terms["contextual"].trunk.network.layers == ("relu3_3",)


def test_trunk_follows_its_input_also_in_validation(whole, monkeypatch):
    trunk = whole.terms["perceptual"].trunk
    moves = []
    monkeypatch.setattr(trunk.network, "to", lambda device: moves.append((device, torch.is_inference_mode_enabled())))
    with torch.inference_mode():
        trunk(torch.rand(1, 3, 16, 16))
    # Weights moved in inference mode could never be differentiated through again.
    assert moves == [(torch.device("cpu"), False)]


def test_the_nearest_layer_of_what_ships_takes_a_layers_place(whole):
    assert whole.trunk_used.startswith("vgg16 to relu4_3 (shipped")
    perceptual = whole.terms["perceptual"]
    assert perceptual.layers == {"relu1_2": 0.25, "relu2_2": 0.25, "relu3_2": 0.25, "relu4_2": 0.25}
    rgb = torch.rand(1, 3, 16, 16)
    found, own = perceptual.trunk(rgb), perceptual.trunk.network(rgb)
    assert torch.equal(found["relu3_2"], own["relu3_3"])
    assert torch.equal(found["relu4_2"], own["relu4_3"])


def test_a_trunk_is_loaded_only_if_needed(compose, build_loss, tmp_path):
    absent = f"loss.weights={tmp_path / 'absent.pth'}"
    assert build_loss("l1", absent).trunk_used is None
    assert said_by(compose("loss=l1", "loss.contextual=1", absent)).startswith("no VGG weights at")


def test_named_weights_and_layers(build_loss):
    options = ["loss.contextual=0", "loss.trunk=vgg16", f"loss.weights={SHIPPED_VGG}"]
    named = ["relu1_2=1", "relu2_2=3"]
    less = [f"~loss.terms.perceptual.layers.{layer}" for layer in ("relu3_2", "relu4_2")]
    loss = build_loss("flowchroma", *options, *less, *[f"loss.terms.perceptual.layers.{each}" for each in named])
    assert loss.terms["perceptual"].layers == {"relu1_2": 0.25, "relu2_2": 0.75}
    assert loss.trunk_used == f"vgg16 ({SHIPPED_VGG})"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["loss.l1=-1"], "weight of l1 is -1"),
        (["loss.trunk=alexnet"], "alexnet"),
        (["+loss.terms.perceptual.layers.relu9_9=1"], "relu9_9"),
        (["loss.terms.perceptual.layers.relu1_2=0"], "relu1_2 has a weight of 0"),
        (["+loss.edges=1"], "no term edges: it has contextual, l1, perceptual, temporal"),
        (["~loss.l1"], "term l1 has no weight"),
        (["loss.l1=0", "loss.perceptual=0", "loss.contextual=0", "loss.temporal=0"], "every term"),
    ],
)
def test_bad_options_are_named(compose, options, said):
    assert said in said_by(compose("loss=flowchroma", OFFLINE, *options))

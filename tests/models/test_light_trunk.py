"""The light trunk against timm's EfficientNet-Lite0 and XFeat's own program."""

import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from flowchroma.models.trunks.light import LightTrunk
from flowchroma.weights import light_trunk

_FIRST = (0, 1, 3, 5, 8)  # block of each stage, by official numbers
_PARTS = {"conv_pw": "_expand_conv", "conv_dw": "_depthwise_conv", "conv_pwl": "_project_conv"}
_NORMS = {"bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}


def official_name(name: str) -> str:
    """The name that the official checkpoint has for timm's."""
    if found := re.match(r"blocks\.(\d)\.(\d)\.(\w+)\.(\w+)", name):
        stage, repeat, part, value = found.groups()
        if stage == "0":  # it has no expansion, so that timm counts on from the next
            part = {"conv_dw": "conv_dw", "conv_pw": "conv_pwl", "bn1": "bn2", "bn2": "bn3"}[part]
        return f"_blocks.{_FIRST[int(stage)] + int(repeat)}.{(_PARTS | _NORMS)[part]}.{value}"
    return f"_{name}".replace("_bn1", "_bn0")


def unlike_their_start(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A network's state with statistics of its normalization that are not 0 and 1."""
    state = {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
    return {k: v if v.dim() == 4 else 0.5 + torch.rand_like(v) for k, v in state.items()}


@torch.no_grad()
def test_its_levels_are_those_of_timm() -> None:
    torch.manual_seed(0)
    other = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(1, 2, 3)).eval()
    state = unlike_their_start(other)
    other.load_state_dict(state, strict=False)
    trunk = light_trunk()
    kept = {k: v for k, v in state.items() if not re.match(r"blocks\.[56]", k)}
    with pytest.raises(KeyError):
        trunk.load_official({}, {})
    for conv, name, norm in trunk.lite.named():
        assert f"{name}.weight" in map(official_name, kept), (conv, norm)
    fill(trunk, {official_name(k): v for k, v in kept.items()})
    rgb = torch.rand(2, 3, 64, 96)
    found = trunk(rgb)
    for name, expected in zip(("lite4", "lite8", "lite16"), other((255 * rgb - 127) / 128), strict=True):
        assert found[name].shape[1] == trunk.channels[name]
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def fill(trunk: LightTrunk, lite: dict[str, torch.Tensor]) -> None:
    """Other weights of EfficientNet-Lite0, and XFeat's at 1."""
    xfeat = {}
    for conv, name, norm in trunk.xfeat.named():
        xfeat[f"{name}.weight"] = torch.ones_like(conv.weight)
        owner = name if norm is None else norm
        names = ("bias",) if norm is None else ("running_mean", "running_var")
        xfeat |= {f"{owner}.{value}": torch.ones(len(conv.weight)) for value in names}
    trunk.load_official(lite, xfeat)


@torch.no_grad()
def test_its_descriptors_are_those_of_xfeat() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    gray = 0.5 + 0.3 * torch.sin(0.31 * x + 0.011 * x * y) * torch.cos(0.17 * y)
    found = light_trunk()(gray.expand(1, 3, -1, -1))["xfeat8"][0, :, ::2, ::3]
    expected = torch.from_numpy(np.load(Path(__file__).with_name("xfeat_golden.npy")))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_it_stays_frozen_and_in_evaluation_mode() -> None:
    trunk = light_trunk().train()
    assert not any(module.training for module in trunk.modules())
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
    assert all(torch.isnan(parameter).all() for parameter in LightTrunk().parameters())

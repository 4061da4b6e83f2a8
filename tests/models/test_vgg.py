import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

from flowchroma.errors import UserError
from flowchroma.models.trunks.vgg import VGGFeatures, conv_indices, nearest_layer
from flowchroma.weights import SHIPPED_VGG, load_vgg

NOWHERE = "http://127.0.0.1:{}/vgg19-00000000.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of torchvision's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_layers_are_those_of_torchvision(arch):
    with torch.device("meta"):
        reference = getattr(torchvision.models, arch)().features
    # Count blocks and convolutions off torchvision's own network.
    expected, block, conv = {}, 1, 0
    for index, module in enumerate(reference):
        if isinstance(module, nn.Conv2d):
            conv += 1
            expected[f"relu{block}_{conv}"] = index
        elif isinstance(module, nn.MaxPool2d):
            block, conv = block + 1, 0
    assert conv_indices(arch) == expected
    deepest = list(expected)[-1]
    with torch.device("meta"):
        own = VGGFeatures(arch, [deepest])
    shapes = {f"features.{k}": v.shape for k, v in reference.state_dict().items()}
    assert {k: v.shape for k, v in own.state_dict().items()} == shapes


def test_features_equal_torchvision_with_the_same_weights():
    trunk, _ = load_vgg("vgg16", ("relu1_2", "relu3_3", "relu4_3"), weights=SHIPPED_VGG)
    reference = torchvision.models.vgg16().features[:23].eval()
    reference.load_state_dict({k.removeprefix("features."): v.float() for k, v in load_file(SHIPPED_VGG).items()})
    rgb = torch.rand(2, 3, 33, 40)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (rgb - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        found = trunk(rgb)
        torch.testing.assert_close(found["relu4_3"], reference(normalised), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found["relu3_3"], reference[:16](normalised), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found["relu1_2"], reference[:4](normalised), rtol=1e-4, atol=1e-4)


def test_trunk_is_frozen_and_no_deeper_than_needed():
    trunk = VGGFeatures("vgg19", ["relu2_1", "relu1_2"]).train()
    assert not trunk.training
    assert not any(module.training for module in trunk.modules())
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
    assert list(trunk.features) == ["0", "2", "5"]


def test_a_trunk_without_loaded_weights_gives_no_numbers():
    assert torch.isnan(VGGFeatures("vgg16", ["relu1_1"])(torch.rand(1, 3, 8, 8))["relu1_1"]).all()


@pytest.mark.parametrize(("arch", "layer"), [("vgg11", "relu1_1"), ("vgg16", "relu3_4"), ("vgg16", "conv1_1")])
def test_unknown_network_or_layer(arch, layer):
    with pytest.raises(UserError, match="trunk cannot be built"):
        load_vgg(arch, [layer], download=False)


def test_nearest_layer():
    served = {"relu1_1": "relu1_2", "relu2_2": "relu2_2", "relu3_2": "relu3_3", "relu5_1": "relu3_3"}
    assert {layer: nearest_layer(layer, ("relu1_2", "relu2_2", "relu3_3")) for layer in served} == served

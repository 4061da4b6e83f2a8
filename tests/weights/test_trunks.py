import socket
import time

import pytest
import timm
import torch
from safetensors.torch import save_file

from flowchroma.errors import UserError
from flowchroma.models.trunks.vgg import VGGLevels
from flowchroma.weights import WeightsAbsent, matching_trunk, trunks


@pytest.fixture(autouse=True)
def _empty_hub(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    # A server that never answers is the worst of absent networks.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(8))


@pytest.fixture
def file(tmp_path):
    """Weights as timm publishes them, classifier included."""
    path = tmp_path / "atto.safetensors"
    torch.manual_seed(7)
    save_file(timm.create_model("convnext_atto").state_dict(), path)
    return path


def weight(embed) -> torch.Tensor:
    return embed.pretrained.stages_2.blocks[0].mlp.fc1.weight


@pytest.mark.parametrize("name", ["swinv2_cr_tiny_ns_224", "vit_small_patch14_dinov2", "vgg16", "vgg19"])
def test_absent_weights_are_said_within_two_seconds(name):
    begin = time.monotonic()
    with pytest.raises(WeightsAbsent, match=f"{name} are in no cache.*no answer.*none for random") as caught:
        matching_trunk(name)
    assert time.monotonic() - begin < 2
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsAbsent, match="downloads are switched off"):
        matching_trunk(name, download=False)


def test_a_file_fills_the_trunk_and_another_network_s_is_refused(file, tmp_path):
    published = timm.create_model("convnext_atto")
    published.load_state_dict(trunks.read_tensors(file, ""))
    found = matching_trunk("convnext_atto", weights=file)
    assert torch.equal(weight(found), published.stages[2].blocks[0].mlp.fc1.weight)
    with pytest.raises(UserError, match=r"atto\.safetensors is not of timm's resnet10t|serves no trunk"):
        matching_trunk("resnet10t", weights=file)
    state = {k: v for k, v in published.state_dict().items() if "stages.1" not in k}
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(UserError, match=r"part\.safetensors is not of timm's convnext_atto: it lacks stages_1"):
        matching_trunk("convnext_atto", weights=tmp_path / "part.safetensors")
    with pytest.raises(UserError, match="no trunk weights at"):
        matching_trunk("convnext_atto", weights=tmp_path / "nothing.pth")


def test_timm_s_own_cache_is_used(file, tmp_path):
    config = timm.get_pretrained_cfg("convnext_atto")
    repo = tmp_path / "hub" / f"models--{config.hf_hub_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    (snapshot / "model.safetensors").write_bytes(file.read_bytes())
    assert torch.equal(weight(matching_trunk("convnext_atto")), weight(matching_trunk("convnext_atto", weights=file)))


@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_vgg_gives_torchvision_s_layers_and_takes_its_cache(arch, cache):
    import torchvision

    torch.manual_seed(3)
    whole = VGGLevels(arch)
    state = whole.state_dict() | {"classifier.0.weight": torch.zeros(1)}
    cache.mkdir(parents=True)
    torch.save(state, cache / trunks.torchvision_url(arch).rsplit("/", 1)[-1])
    embed = matching_trunk(arch)
    assert all(torch.equal(v, state[k]) for k, v in embed.pretrained.state_dict().items())
    with torch.device("meta"):
        features = getattr(torchvision.models, arch)().features
    features = features.to_empty(device="cpu")
    features.load_state_dict({k.removeprefix("features."): v for k, v in whole.state_dict().items()}, strict=False)
    image = torch.rand(1, 3, 32, 48)
    ends = {"vgg16": (8, 13, 20, 27), "vgg19": (8, 13, 22, 31)}[arch]
    with torch.no_grad():
        for found, end in zip(embed(image), ends, strict=True):
            torch.testing.assert_close(found, features[: end + 1](image))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "swinv2_cr_tini_224"}, "no trunk swinv2_cr_tini_224: .*such as swinv2_cr_tiny_224"),
        ({"name": "resnet10t", "levels": [3, 4]}, "resnet10t gives 2 levels"),
        ({"name": "resnet10t", "levels": [1, 2, 3, 9]}, "resnet10t serves no trunk"),
    ],
)
def test_what_cannot_be_built_is_one_line(arguments, said):
    with pytest.raises(UserError, match=said) as caught:
        matching_trunk(weights="none", **arguments)
    assert "\n" not in str(caught.value)


def test_levels_are_chosen(file):
    assert matching_trunk("vit_small_patch14_dinov2", weights="none").pretrained.out_indices == [2, 5, 8, 11]
    chosen = matching_trunk("resnet10t", weights="none", levels=[0, 1, 2, 3])
    assert [level.shape[-1] for level in chosen(torch.rand(1, 3, 64, 64))] == [32, 16, 8, 4]


def test_windows_grow_no_further_than_memory_bears():
    assert trunks._window_ratio((224, 224)) == 8  # as published
    assert trunks._window_ratio((480, 864)) == 8
    for size in ((736, 1280), (1088, 1920), (2176, 3840)):
        ratio = trunks._window_ratio(size)
        assert 128 < size[0] * size[1] / (4 * ratio) ** 2 <= 512

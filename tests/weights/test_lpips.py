import copy
import functools
import warnings

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from flowchroma.errors import UserError
from flowchroma.metrics import lpips_distance
from flowchroma.weights import WeightsAbsent, load_lpips
from flowchroma.weights import perceptual as source

ALEX = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG = {
    index: (out, into, 3)
    for index, into, out in [
        *((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256)),
        *((17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512), (26, 512, 512), (28, 512, 512)),
    ]
}


def made(shapes: dict, last: int = 99) -> dict[str, torch.Tensor]:
    """A trunk of random numbers under torchvision's key names, up to layer `last`."""
    state = {}
    for index, (out, into, side) in shapes.items():
        if index <= last:
            state[f"features.{index}.weight"] = torch.randn(out, into, side, side) * (2 / (into * side**2)) ** 0.5
            state[f"features.{index}.bias"] = 0.1 * torch.randn(out)
    return state


def package(net: str, state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The package's own LPIPS whose trunk is torchvision's, filled by torchvision's own names."""
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    with torch.device("meta"):
        features = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16}[net]().features
    features.to_empty(device="cpu")
    features.load_state_dict({k.removeprefix("features."): v.float() for k, v in state.items()})
    for piece in (getattr(network.net, f"slice{i}") for i in range(1, 6)):
        for name, _ in list(piece.named_children()):
            setattr(piece, name, features[int(name)])
    return network


def frames(side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.randint(0, 256, (2, 3, side, side + 9), dtype=torch.uint8)
    noise = torch.randint(-60, 60, target.shape)
    return (target + noise).clamp(0, 255).to(torch.uint8), target


@pytest.mark.parametrize(("net", "shapes"), [("alex", ALEX), ("vgg", VGG)])
def test_equals_the_package_on_the_same_trunk(net, shapes, tmp_path):
    state = made(shapes)
    save_file(state, tmp_path / "trunk.safetensors")
    network = load_lpips(net, tmp_path, download=False)
    prediction, target = frames()
    got = lpips_distance(network, prediction, target)
    with torch.no_grad():
        expected = package(net, state)(prediction / 255, target / 255, normalize=True).flatten().double()
    assert expected.min() > 0.01
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert lpips_distance(network, target, target).tolist() == [0, 0]
    assert not any(module.training for module in network.train().modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_shared_trunk_equals_the_package(shared):
    folder = shared / "weights"
    network = load_lpips("alex", folder, download=False)
    state = load_file(folder / "alexnet_features_fp16.safetensors")
    prediction, target = frames()
    with torch.no_grad():
        expected = package("alex", state)(prediction / 255, target / 255, normalize=True).flatten().double()
    torch.testing.assert_close(lpips_distance(network, prediction, target), expected, atol=1e-5, rtol=0)


def test_shared_vgg_is_not_enough(shared):
    with pytest.raises(WeightsAbsent, match=r"conv4_3_fp16\.safetensors is not enough, it lacks features\.24\.weight"):
        load_lpips("vgg", shared / "weights", download=False)


@pytest.fixture(autouse=True)
def quick_start(request, monkeypatch):
    """Spare the tests of files the random numbers of a whole VGG16."""
    if "package" not in request.node.name:
        monkeypatch.setattr(source, "_blank", lambda net, make=source._blank: copy.deepcopy(_once(net, make)))


@functools.cache
def _once(net: str, make) -> torch.nn.Module:
    return make(net)


def test_absence_is_one_line_that_says_where(cache, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    save_file(made(VGG, last=21), folder / "short.safetensors")
    save_file(made(ALEX), folder / "alexnet.safetensors")
    (folder / "broken.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(WeightsAbsent) as caught:
        load_lpips("vgg", folder, download=False)
    line = str(caught.value)
    assert isinstance(caught.value, UserError)
    assert "\n" not in line
    assert "LPIPS-vgg lacks torchvision's vgg16 and downloads are switched off" in line
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in line
    assert str(cache / "vgg16-397923af.pth") in line
    assert f"or into {folder}" in line
    assert "short.safetensors is not enough, it lacks features.24.weight (6 of 26 missing)" in line
    assert "alexnet.safetensors" not in line


def test_absence_without_a_folder(cache):
    with pytest.raises(WeightsAbsent, match=r"put https\S+alexnet-owt-7be5be79\.pth at \S+alexnet-owt-7be5be79\.pth$"):
        load_lpips("alex", download=False)


def test_cache_is_found_and_folder_comes_first(cache, tmp_path):
    cache.mkdir(parents=True)
    cached, named = made(ALEX), made(ALEX)
    torch.save(cached | {"classifier.1.weight": torch.zeros(3)}, cache / "alexnet-owt-7be5be79.pth")
    save_file({k: v.half() for k, v in named.items()}, tmp_path / "own.safetensors")

    def first(network):
        return network.network.net.slice1[0].weight

    assert torch.equal(first(load_lpips("alex", download=False)), cached["features.0.weight"])
    own = load_lpips("alex", tmp_path / "own.safetensors", download=False)
    assert torch.equal(first(own), named["features.0.weight"].half().float())
    assert torch.equal(first(load_lpips("alex", tmp_path)), first(own))


def test_a_download_that_fails_is_absence(monkeypatch):
    monkeypatch.setattr(source, "torchvision_url", lambda arch: f"http://127.0.0.1:9/{arch}-00000000.pth")
    with pytest.raises(WeightsAbsent, match=r"the download failed: .*refused"):
        load_lpips("alex")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("features.6.bias"), r"not enough for LPIPS-alex, it lacks features\.6\.bias \(1 of 10"),
        (lambda s: s.update({"features.3.weight": torch.zeros(192, 48, 5, 5)}), r"as \(192, 48, 5, 5\), not"),
        (lambda s: s["features.0.bias"].fill_(float("nan")), r"not finite in features\.0\.bias"),
    ],
)
def test_a_named_file_that_does_not_fit(spoil, message, tmp_path):
    state = made(ALEX)
    spoil(state)
    save_file(state, tmp_path / "own.safetensors")
    with pytest.raises(UserError, match=message) as caught:
        load_lpips("alex", tmp_path / "own.safetensors")
    assert not isinstance(caught.value, WeightsAbsent)


def test_what_cannot_be(tmp_path):
    with pytest.raises(UserError, match="no trunk 'squeeze'"):
        load_lpips("squeeze")
    with pytest.raises(UserError, match=r"no weights at .*nowhere"):
        load_lpips("alex", tmp_path / "nowhere")


@pytest.mark.parametrize(("net", "shapes", "smallest"), [("alex", ALEX, 31), ("vgg", VGG, 16)])
def test_smallest_frames(net, shapes, smallest, tmp_path):
    save_file(made(shapes), tmp_path / "trunk.safetensors")
    network = load_lpips(net, tmp_path, download=False)
    image = torch.randint(0, 256, (1, 3, smallest, smallest + 5), dtype=torch.uint8)
    assert torch.isfinite(lpips_distance(network, image, 255 - image)).all()
    small = image[..., :-1, :]
    with pytest.raises(
        UserError, match=f"{smallest} x {smallest} pixels at least, not {smallest + 5} x {smallest - 1}"
    ):
        lpips_distance(network, small, small)


def test_loading_leaves_the_global_generator_alone(tmp_path, monkeypatch):
    monkeypatch.undo()
    save_file(made(ALEX), tmp_path / "trunk.safetensors")
    before = torch.get_rng_state()
    load_lpips("alex", tmp_path, download=False)
    assert torch.equal(torch.get_rng_state(), before)

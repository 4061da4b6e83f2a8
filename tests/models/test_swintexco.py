import copy

import pytest
import torch
from torch import Tensor

from flowchroma.colorizers import MatchingAlone
from flowchroma.models import FlowChroma, PlaceholderFusion, SwinTExCo
from flowchroma.models.swintexco import FeaturePyramid
from flowchroma.weights import matching_trunk

# swin trunks have their channels last, resnets five levels, dinov2 one stride that divides no frame.
TRUNKS = ["convnext_atto", "resnet10t", "vit_small_patch14_dinov2", "swin_tiny_patch4_window7_224", "vgg16"]


def lab(*shape: int) -> Tensor:
    """CIELAB, (..., 3, H, W)."""
    coarse = torch.rand(*shape[:-2], shape[-2] // 4 + 2, shape[-1] // 4 + 2).flatten(0, -4)
    picture = torch.nn.functional.interpolate(coarse, size=shape[-2:], mode="bicubic").clamp(0, 1).view(shape)
    return picture * torch.tensor([90.0, 80, 80]).view(3, 1, 1) - torch.tensor([0.0, 40, 40]).view(3, 1, 1)


@pytest.fixture(scope="module")
def network() -> SwinTExCo:
    torch.manual_seed(0)
    made = SwinTExCo(matching_trunk(weights="none")).eval()
    with torch.no_grad():  # timm's last norm of a block starts at zero
        for parameter in made.embed.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


@torch.no_grad()
@pytest.mark.parametrize("size", [(48, 64), (64, 48), (97, 61), (33, 130)])
def test_any_size_and_references_of_another(network: SwinTExCo, size: tuple[int, int]) -> None:
    memory = network.encode_references(lab(1, 2, 3, 70, 45))
    assert memory.keys.shape == (1, 2 * 24 * 16, 256)
    torch.testing.assert_close(memory.keys.norm(dim=2), torch.ones(1, 2 * 24 * 16))
    found = network(lab(1, 3, *size)[:, :1], memory, lab(1, 3, *size))
    assert found.ab.shape == (1, 2, *size)
    assert found.similarity.shape == (1, 1, *size)
    assert torch.isfinite(found.ab).all()
    assert 0 <= found.similarity.min() <= found.similarity.max() <= 1


@torch.no_grad()
@pytest.mark.parametrize("name", TRUNKS)
def test_any_trunk(network: SwinTExCo, name: str) -> None:
    embed = matching_trunk(name, weights="none").eval()
    matcher = copy.copy(network)
    matcher._modules = {**network._modules, "embed": embed}
    matcher.warp = type(network.warp)(embed.channels).eval()
    found = matcher(lab(1, 3, 65, 96)[:, :1], matcher.encode_references(lab(1, 1, 3, 64, 64)))
    assert found.ab.shape == (1, 2, 65, 96)
    assert torch.isfinite(found.ab).all()


@torch.no_grad()
def test_a_frame_finds_itself_in_the_reference_that_holds_it(network: SwinTExCo) -> None:
    frame, other = lab(1, 3, 64, 64), lab(1, 3, 64, 64)
    # As both sides' projections are untrained, they are made one.
    twin = copy.deepcopy(network)
    twin.warp.phi.load_state_dict(twin.warp.theta.state_dict())
    gray = frame * torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    memory = twin.encode_references(torch.stack([other, gray], dim=1))
    memory.lab[:, :256, 1:], memory.lab[:, 256:, 1:] = -20, 30
    found, similarity, image = twin.match_colour(frame[:, :1], memory)
    ab = found[:, 1:]
    assert (image == 1).all()
    assert (ab - 30).abs().mean() < 1
    assert similarity.min() > 0.99


@torch.no_grad()
def test_the_frame_before_counts_and_none_is_zeros(network: SwinTExCo) -> None:
    luma, memory = lab(1, 3, 64, 64)[:, :1], network.encode_references(lab(1, 1, 3, 64, 64))
    nothing = network(luma, memory).ab
    zeros = torch.tensor([50.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    assert torch.equal(network(luma, memory, zeros).ab, nothing)
    assert (network(luma, memory, lab(1, 3, 64, 64)).ab - nothing).abs().max() > 1e-4


@torch.no_grad()
def test_the_system_hands_on_the_frame_as_it_was_coloured(
    network: SwinTExCo, build, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = FlowChroma(build("memflow_small"), network, PlaceholderFusion()).eval()
    calls: list[Tensor | None] = []
    match = network.match
    monkeypatch.setattr(
        network, "match", lambda luma, memories, last: calls.append(last) or match(luma, memories, last)
    )
    film = [lab(1, 3, 64, 64)[:, :1] for _ in range(3)]
    reference = lab(1, 1, 3, 64, 64)
    for colorizer in (system, MatchingAlone(network)):
        calls.clear()
        state = colorizer.start(reference)
        known = 10 * torch.randn(1, 2, 64, 64)
        state = colorizer.observe(film[0], known, state)
        ab, state = colorizer.step(film[1], state)
        colorizer.step(film[2], state)
        torch.testing.assert_close(calls[-2], torch.cat([film[0], known], dim=1))
        torch.testing.assert_close(calls[-1], torch.cat([film[1], ab], dim=1))


def test_gradient_passes_the_matching_in_training_and_in_use(network: SwinTExCo) -> None:
    luma, reference = lab(1, 3, 64, 64)[:, :1], lab(1, 1, 3, 64, 64)
    for mode in (True, False):
        learner = network.train(mode)
        learner.zero_grad()
        learner(luma, learner.encode_references(reference)).ab.square().mean().backward()
        for part in (learner.warp.theta, learner.warp.phi, learner.warp.layer2_1, learner.embed.pretrained.patch_embed):
            assert all(
                p.grad is not None and p.grad.abs().sum() > 0 for n, p in part.named_parameters() if "weight" in n
            )
    network.eval().zero_grad()


@torch.no_grad()
def test_use_is_sharp(network: SwinTExCo) -> None:
    memory = network.encode_references(lab(1, 1, 3, 64, 64))
    memory.lab[:] = torch.arange(memory.lab.shape[1]).view(1, -1, 1)
    found, *_ = network.match_colour(lab(1, 3, 64, 64)[:, :1], memory)
    torch.testing.assert_close(found, found.round())  # the colour of one position, not a mixture


@torch.no_grad()
def test_a_trunk_built_for_another_size_keeps_its_parameters_and_follows_them(network: SwinTExCo) -> None:
    embed = copy.deepcopy(network.embed)
    image = torch.rand(1, 3, 64, 96)
    before = embed(image)
    parameters = {id(p) for p in embed.parameters()}
    assert all({id(p) for p in trunk.parameters()} == parameters for trunk in embed._resized.values())
    embed.pretrained.patch_embed.proj.weight.mul_(2)
    assert (embed(image)[0] - before[0]).abs().max() > 1e-3
    assert embed.double()(image.double())[0].dtype == torch.float64
    for side in range(3, 12):
        embed(torch.rand(1, 3, 32, 32 * side).double())
    assert len(embed._resized) <= 4
    assert set(embed.state_dict()) == set(network.embed.state_dict())


@torch.no_grad()
def test_a_size_is_as_built_for_it(network: SwinTExCo) -> None:
    import timm

    fresh = timm.create_model("swinv2_cr_tiny_ns_224", features_only=True, img_size=(64, 160)).eval()
    fresh.load_state_dict(network.embed.pretrained.state_dict())
    image = torch.rand(2, 3, 64, 160)
    for found, expected in zip(network.embed(image), fresh(image), strict=True):
        torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_normalisation_is_a_switch() -> None:
    seen: list[Tensor] = []
    trunk = torch.nn.Identity()
    trunk.forward = lambda x: seen.append(x) or [x]  # type: ignore[method-assign]
    image = torch.rand(1, 3, 8, 8)
    for normalize in (False, True):
        FeaturePyramid(trunk, [3], normalize)(image)
    assert torch.equal(seen[0], image)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(seen[1], (image - mean) / std)


def test_bfloat16_autocast_trains(network: SwinTExCo) -> None:
    learner = network.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = learner(lab(1, 3, 64, 64)[:, :1], learner.encode_references(lab(1, 1, 3, 64, 64)))
    found.ab.float().mean().backward()
    assert found.ab.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in learner.parameters() if p.grad is not None)
    network.eval().zero_grad()

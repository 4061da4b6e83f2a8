"""SwinTExCo against numbers that the published networks gave for known weights."""

import copy
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import lab_to_rgb
from flowchroma.models import SwinTExCo
from flowchroma.models.state import ReferenceMemory
from flowchroma.models.swintexco.tokens import tokens
from flowchroma.weights import matching_trunk

SINGLE = pytest.param(torch.float32, id="float32")
DOUBLE = pytest.param(torch.float64, id="float64")
SLOW_DOUBLE = pytest.param(torch.float64, id="float64", marks=pytest.mark.slow)
SHAPES = ((96, 32, 48), (192, 16, 24), (384, 8, 12), (768, 4, 6))
COUNTS = {"embed": 27_564_468, "nonlocal": 18_293_515, "colornet": 32_802_395}


class Published:
    """The networks with the golden weights, and their recorded outputs."""

    def __init__(self, folder: Path, network: SwinTExCo) -> None:
        self.golden = load(folder / "golden_init.py")
        self.outputs = np.load(folder / "swintexco.npz")
        self.network = network
        self.dtype = network.warp.theta.weight.dtype
        self.frame, self.reference = self.lab(224, 224, 0.0), self.lab(224, 224, 0.7)

    def check(self, name: str, found: Tensor, tolerance: float = 1e-4) -> None:
        expected = self.outputs[name]
        error = np.abs(found.double().numpy().reshape(expected.shape) - expected).max()
        assert error <= tolerance * expected.std(), f"{name}: {error / expected.std():.2e} of its std"

    def lab(self, height: int, width: int, phase: float) -> Tensor:
        """CIELAB; the recorded programs have L less 50."""
        lab = torch.from_numpy(self.golden.golden_lab(height, width, phase)).to(self.dtype)[None]
        return lab + self.middle

    @property
    def middle(self) -> Tensor:
        return torch.tensor([50.0, 0, 0], dtype=self.dtype).view(3, 1, 1)

    def features(self, which: str) -> list[Tensor]:
        made = (self.golden.golden_feature(f"{which}{i}", (1, *shape)) for i, shape in enumerate(SHAPES))
        return [F.normalize(torch.from_numpy(level).to(self.dtype), dim=1) for level in made]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def exact(shared: Path) -> SwinTExCo:
    """In float64. Making 78 million weights is most of the time here, so that they are made once."""
    golden = load(shared / "parity" / "golden_init.py")
    network = SwinTExCo(matching_trunk(weights="none"), sharp=0.01).double().eval()
    golden.apply_golden(network.embed)
    golden.apply_golden(network.warp)
    golden.apply_golden(network.colornet, 1.0, {"conv10_ab": 0.35})
    return network


@pytest.fixture(scope="module")
def published(request: pytest.FixtureRequest, shared: Path, exact: SwinTExCo) -> Published:
    network = exact if request.param == torch.float64 else copy.deepcopy(exact).float()
    return Published(shared / "parity", network)


@pytest.mark.parametrize("published", [SINGLE], indirect=True)
@pytest.mark.parametrize(("file", "part"), [("embed", "embed"), ("nonlocal", "warp"), ("colornet", "colornet")])
def test_every_published_weight_has_a_place(published: Published, shared: Path, file: str, part: str) -> None:
    listed = json.loads((shared / "parity" / f"swintexco_{file}_keys.json").read_text())
    module = published.network.get_submodule(part)
    found = {k: (list(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in module.state_dict().items()}
    assert found == {k: tuple(v) for k, v in listed.items()}
    assert sum(p.numel() for p in module.parameters()) == COUNTS[file]


@pytest.mark.parametrize("published", [SINGLE], indirect=True)
def test_reference_is_seen_in_the_published_colours(published: Published) -> None:
    found = lab_to_rgb(published.lab(64, 96, 0.2))[0]
    assert np.abs(found.numpy() - published.outputs["lab2rgb_64x96"]).max() < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, DOUBLE], indirect=True)
@pytest.mark.parametrize("which", ["A", "B"])
def test_levels(published: Published, which: str) -> None:
    gray = (published.frame[:, :1] / 100).expand(-1, 3, -1, -1)
    rgb = gray if which == "A" else lab_to_rgb(published.reference)
    for index, level in enumerate(published.network.embed(rgb)):
        found = F.interpolate(level, scale_factor=2.0)[0]
        name = f"embed{which}_f{index}"
        assert [1, *found.shape] == published.outputs[f"{name}_shape"].tolist()
        channels, rows, columns = found.shape
        published.check(f"{name}_sub", found[:: channels // 24, :: rows // 7, :: columns // 7])
        published.check(f"{name}_chmean", found.mean(dim=(1, 2)))
        published.check(f"{name}_chstd", found.std(dim=(1, 2)))


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, DOUBLE], indirect=True)
@pytest.mark.parametrize("temperature", ["0.1", "0.01", "1e-10"])
def test_matching(published: Published, temperature: str) -> None:
    warp, size = published.network.warp, (64, 96)
    query, key = warp.query(published.features("A"), size), warp.key(published.features("B"), size)
    values = F.avg_pool2d(published.lab(*size, 0.7) - published.middle, 4)
    colour, similarity, _ = ops.match(tokens(query), tokens(key), tokens(values), float(temperature), chunk=100)
    published.check(f"warp_small_y_t{temperature}", colour.transpose(1, 2))
    published.check("warp_small_sim", similarity)


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, DOUBLE], indirect=True)
def test_colour_made_whole(published: Published) -> None:
    similarity = 0.5 + 0.4 * torch.sin(0.01 * torch.arange(64 * 96, dtype=torch.float64))
    luma = published.lab(64, 96, 0.2)[:, :1] - 50
    ab = published.lab(64, 96, 1.3)[:, 1:]
    last = published.lab(64, 96, 2.1) - published.middle
    given = torch.cat([luma, ab, similarity.to(ab).view(1, 1, 64, 96), last], dim=1)
    published.check("colornet_small_ab", published.network.colornet(given))


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, SLOW_DOUBLE], indirect=True)
def test_a_frame_end_to_end(published: Published) -> None:
    network, luma = published.network, published.frame[:, :1]
    memory = network.encode_references(published.reference[:, None])
    published.check("e2e_t0.01_f0_ab_sub4", network(luma, memory).ab[..., ::4, ::4], 2e-3)
    # The recorded colour has L as a channel.
    lab = tokens(F.avg_pool2d(published.reference - published.middle, 4))
    assert torch.equal(lab[..., 1:], memory.lab[..., 1:])
    colour, similarity, _ = network.match_colour(luma, ReferenceMemory(memory.keys, lab, memory.image))
    published.check("e2e_t0.01_f0_warp56", colour, 2e-3)
    published.check("e2e_f0_sim56", similarity, 2e-3)

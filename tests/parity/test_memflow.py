"""MemFlow against numbers that the published network gave for known weights."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.models.memflow import MemFlow
from flowchroma.models.memflow.iterates import Iterate

OVERRIDES = {"update_block.flow_head.ffn2.2": 0.006, "update_block.mask.2": 0.25}
SINGLE = pytest.param(torch.float32, id="float32")
DOUBLE = pytest.param(torch.float64, id="float64")
SLOW_DOUBLE = pytest.param(torch.float64, id="float64", marks=pytest.mark.slow)


class Published:
    """The network with the golden weights, and its recorded outputs."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        golden = load(folder / "golden_init.py")
        self.outputs = np.load(folder / "memflow.npz")
        self.network = MemFlow(iterations=6).to(dtype).eval()
        golden.apply_golden(self.network, 1.0, OVERRIDES)
        frames = torch.from_numpy(2 * golden.golden_frames(5, 128, 160) - 1).to(dtype)
        with torch.no_grad():
            self.frames = [self.network.encode_scaled(frame[None]) for frame in frames]
        self.nothing = self.frames[0].key[:, :0]
        self.tolerance = 1e-5 if dtype == torch.float64 else 1e-4

    def check(self, name: str, found: Tensor) -> None:
        expected = self.outputs[name]
        error = np.abs(found.double().numpy().reshape(expected.shape) - expected).max()
        assert error <= self.tolerance * expected.std(), name

    def pair(self, index: int, keys: Tensor, values: Tensor, start: Tensor | None = None) -> list[Iterate]:
        first, second = self.frames[index], self.frames[index + 1]
        return list(self.network.iterate(first, second.features, keys, values, start))

    def upsample(self, iterate: Iterate) -> Tensor:
        weights = self.network.update_block.upsampling_weights(iterate.hidden)
        return ops.convex_upsample(iterate.flow, weights)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grid(tokens: Tensor) -> Tensor:
    return tokens.transpose(1, 2)[0].reshape(-1, 16, 20)


@pytest.fixture(scope="module")
def published(request: pytest.FixtureRequest, shared: Path) -> Published:
    return Published(shared / "parity", request.param)


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, DOUBLE], indirect=True)
def test_encoders(published: Published) -> None:
    first = published.frames[0]
    published.check("enc_fmaps", first.features[:, ::16])
    published.check("enc_net", first.hidden[0, ::8])
    published.check("enc_inp", first.context[0, ::8])
    published.check("enc_query", grid(first.query)[::8])
    published.check("enc_key", grid(first.key)[::8])


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, DOUBLE], indirect=True)
@pytest.mark.parametrize("form", [ops.CorrelationPyramid, ops.CorrelationOnDemand])
def test_correlation(published: Published, form: type) -> None:
    first, second = (frame.features for frame in published.frames[:2])
    shift = torch.tensor([1.25, -0.6], dtype=first.dtype).view(1, 2, 1, 1)
    points = ops.pixel_grid(16, 20, like=shift) + shift
    published.check("corr_at_shift", form(first, second, 4, 4).lookup(points)[0, ::9])


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, DOUBLE], indirect=True)
def test_every_iteration_of_a_first_pair(published: Published) -> None:
    iterates = published.pair(0, published.nothing, published.nothing)
    published.check("train_low_p0", torch.cat([i.flow for i in iterates]))
    published.check("infer_low_p0", iterates[-1].flow)
    published.check("nomem_low_p0", iterates[-1].flow)
    fine = torch.cat([published.upsample(i) for i in iterates])
    published.check("train_up_p0_sub4", fine[:, :, ::4, ::4])
    published.check("train_up_p0_final", fine[-1])


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, SLOW_DOUBLE], indirect=True)
def test_pairs_with_memory(published: Published) -> None:
    keys = values = published.nothing
    for index in range(4):
        iterates = published.pair(index, keys, values)
        published.check(f"infer_low_p{index}", iterates[-1].flow)
        if index == 1:
            published.check("train_low_p1", torch.cat([i.flow for i in iterates]))
            published.check("train_value_p1", grid(iterates[-1].value)[::8])
            published.check(
                "train_mask_p1_final", 0.25 * published.network.update_block.mask(iterates[-1].hidden)[0, ::16]
            )
        keys, values = published.frames[index].key, iterates[-1].value
        assert keys.shape[1] == published.outputs["infer_mem_tokens_after"][index]
    published.check("infer_up_p3_sub2", published.upsample(iterates[-1])[:, :, ::2, ::2])


@pytest.mark.parametrize("published", [SINGLE, SLOW_DOUBLE], indirect=True)
def test_pairs_as_in_training_with_gradient(published: Published) -> None:
    keys = values = published.nothing
    for index in range(2):
        iterates = published.pair(index, keys, values)
        published.check(f"train_low_p{index}", torch.cat([i.flow for i in iterates]).detach())
        keys, values = published.frames[index].key, iterates[-1].value


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE, SLOW_DOUBLE], indirect=True)
def test_pairs_without_memory_and_from_a_given_flow(published: Published) -> None:
    empty = published.nothing
    published.check("nomem_low_p1", published.pair(1, empty, empty)[-1].flow)
    start = 0.8 * torch.sin(0.05 * torch.arange(2 * 16 * 20, dtype=empty.dtype))
    published.check("flowinit_low_p0", published.pair(0, empty, empty, start.view(1, 2, 16, 20))[-1].flow)


@torch.no_grad()
@pytest.mark.parametrize("published", [SINGLE], indirect=True)
def test_pairs_without_volume_or_table(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published.network, "volume_limit", 0)
    first = published.pair(0, published.nothing, published.nothing)
    published.check("train_low_p0", torch.cat([i.flow for i in first]))
    published.check("infer_low_p1", published.pair(1, published.frames[0].key, first[-1].value)[-1].flow)


def test_every_published_weight_has_a_place(shared: Path, build) -> None:
    published = json.loads((shared / "parity" / "memflow_keys.json").read_text())
    # norm3 is downsample.1 under another name, and the position table is never read.
    used = {k: tuple(v[0]) for k, v in published.items() if ".norm3." not in k and "pos_emb" not in k}
    assert {k: tuple(v.shape) for k, v in build("memflow").state_dict().items()} == used

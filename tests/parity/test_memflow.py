"""MemFlow against numbers that the published network gave for known weights."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.models.memflow.network import Encoded, MemFlow

OVERRIDES = {"update_block.flow_head.ffn2.2": 0.006, "update_block.mask.2": 0.25}


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

    def pair(self, index: int, keys: Tensor, values: Tensor, start: Tensor | None = None) -> list:
        first, second = self.frames[index], self.frames[index + 1]
        return list(self.network.refine(first, second.features, keys, values, start))


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grid(tokens: Tensor) -> Tensor:
    return tokens.transpose(1, 2)[0].reshape(-1, 16, 20)


@pytest.fixture(scope="module", params=[torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)], ids=str)
def published(request: pytest.FixtureRequest, shared: Path) -> Published:
    return Published(shared / "parity", request.param)


@torch.no_grad()
def test_encoders_and_correlation(published: Published) -> None:
    first, second = published.frames[:2]
    published.check("enc_fmaps", first.features[:, ::16])
    published.check("enc_net", first.hidden[0, ::8])
    published.check("enc_inp", first.context[0, ::8])
    published.check("enc_query", grid(first.query)[::8])
    published.check("enc_key", grid(first.key)[::8])
    shift = torch.tensor([1.25, -0.6], dtype=first.features.dtype).view(1, 2, 1, 1)
    pyramid = ops.CorrelationPyramid(first.features, second.features, 4, 4)
    published.check("corr_at_shift", pyramid.lookup(ops.pixel_grid(16, 20, like=shift) + shift)[0, ::9])


@torch.no_grad()
def test_pairs_with_memory(published: Published) -> None:
    keys = values = published.nothing
    for index in range(4):
        iterates = published.pair(index, keys, values)
        if index < 2:
            published.check(f"train_low_p{index}", torch.cat([i.flow for i in iterates]))
        if index == 0:
            published.check("train_up_p0_final", published.network._upsample(iterates[-1])[0])
        if index == 1:
            published.check("train_value_p1", grid(iterates[-1].value)[::8])
        published.check(f"infer_low_p{index}", iterates[-1].flow)
        keys, values = published.frames[index].key, iterates[-1].value
        assert keys.shape[1] == published.outputs["infer_mem_tokens_after"][index]
    published.check("infer_up_p3_sub2", published.network._upsample(iterates[-1])[0][:, :, ::2, ::2])


@torch.no_grad()
def test_pairs_without_memory_and_from_a_given_flow(published: Published) -> None:
    empty = published.nothing
    for index in range(2):
        published.check(f"nomem_low_p{index}", published.pair(index, empty, empty)[-1].flow)
    start = 0.8 * torch.sin(0.05 * torch.arange(2 * 16 * 20, dtype=empty.dtype))
    published.check("flowinit_low_p0", published.pair(0, empty, empty, start.view(1, 2, 16, 20))[-1].flow)


def test_every_published_weight_has_a_place(shared: Path) -> None:
    import json

    published = json.loads((shared / "parity" / "memflow_keys.json").read_text())
    # norm3 is downsample.1 under another name, and the position table is never read.
    used = {k: tuple(v[0]) for k, v in published.items() if ".norm3." not in k and "pos_emb" not in k}
    assert {k: tuple(v.shape) for k, v in MemFlow().state_dict().items()} == used
    assert isinstance(MemFlow(iterations=1).encode(torch.rand(1, 1, 64, 64)), Encoded)

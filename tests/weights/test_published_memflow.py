import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from flowchroma.errors import UserError
from flowchroma.models import MemFlow
from flowchroma.models.memflow import Architecture
from flowchroma.training import load_weights, save_weights

KEPT = "cnet.layer2.0.downsample.1.weight"
ALIAS = "cnet.layer2.0.norm3.weight"


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def network() -> MemFlow:
    return MemFlow()


@pytest.fixture
def published(network: MemFlow) -> dict[str, Tensor]:
    """What the published program would save: a second name for each shortcut's norm, and the table of positions."""
    state = OrderedDict((k, torch.randn(v.shape).to(v.dtype)) for k, v in network.state_dict().items())
    for name in [k for k in state if ".downsample.1." in k]:
        state[name.replace("downsample.1", "norm3")] = state[name].clone()
    state["att.pos_emb.rel_ind"] = torch.zeros(160, 160, dtype=torch.int64)
    state["att.pos_emb.rel_height.weight"] = torch.zeros(319, 128)
    state["att.pos_emb.rel_width.weight"] = torch.zeros(319, 128)
    return state


def refused(network: MemFlow, path: Path, match: str) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(UserError, match=match) as caught:
        load_weights(network, path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_the_made_file_has_exactly_the_published_entries(published: dict[str, Tensor], shared: Path) -> None:
    listed = json.loads((shared / "parity" / "memflow_keys.json").read_text())
    found = {k: (list(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in published.items()}
    assert found == {k: tuple(v) for k, v in listed.items()}


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapper", [None, "model", "state_dict", "params"])
def test_a_published_file_loads_entry_for_entry(
    network: MemFlow, published: dict[str, Tensor], tmp_path: Path, prefix: str, wrapper: str | None
) -> None:
    # The shortcut's norm counts under the name that the published program assigns last.
    published[ALIAS] = torch.full_like(published[ALIAS], 99)
    state = {prefix + k: v for k, v in published.items()}
    torch.save({wrapper: state, "step": 7} if wrapper else state, tmp_path / "MemFlowNet_sintel.pth")
    load_weights(network, tmp_path / "MemFlowNet_sintel.pth", "flow")
    assert all(torch.equal(v, published[k]) for k, v in network.state_dict().items())


def test_a_file_in_half_precision_loads(network: MemFlow, published: dict[str, Tensor], tmp_path: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in published.items()}
    torch.save(half, tmp_path / "half.pth")
    load_weights(network, tmp_path / "half.pth")
    assert all(v.dtype != torch.float16 and torch.equal(v, half[k].to(v)) for k, v in network.state_dict().items())


def test_our_own_files_still_load(network: MemFlow, tmp_path: Path) -> None:
    save_weights(network, tmp_path / "own.safetensors")
    torch.save({"state_dict": {f"network.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "own.ckpt")
    torch.save(network.state_dict(), tmp_path / "own.pth")
    for name in ("own.safetensors", "own.ckpt", "own.pth"):
        fresh = MemFlow()
        load_weights(fresh, tmp_path / name)
        assert all(torch.equal(v, fresh.state_dict()[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("name", [KEPT, ALIAS, "att.pos_emb.rel_ind", "update_block.aggregator.gamma"])
def test_a_missing_entry_is_named(network: MemFlow, published: dict[str, Tensor], tmp_path: Path, name: str) -> None:
    del published[name]
    torch.save(published, tmp_path / "file.pth")
    refused(network, tmp_path / "file.pth", rf"file.pth is of another network than MemFlow.*: {name} missing$")


def test_an_entry_too_many_is_named(network: MemFlow, published: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({**published, "fnet.extra": torch.zeros(1)}, tmp_path / "file.pth")
    refused(network, tmp_path / "file.pth", r": fnet.extra unknown$")


@pytest.mark.parametrize("name", ["fnet.conv1.weight", "att.pos_emb.rel_height.weight", ALIAS])
def test_a_wrong_shape_is_named(network: MemFlow, published: dict[str, Tensor], tmp_path: Path, name: str) -> None:
    right = tuple(published[name].shape)
    published[name] = torch.zeros(5)
    torch.save(published, tmp_path / "file.pth")
    shape = str(right).replace("(", r"\(").replace(")", r"\)")
    refused(network, tmp_path / "file.pth", rf": {name} \(5,\) instead of {shape}$")


def test_a_mixture_of_prefixes_is_refused(network: MemFlow, published: dict[str, Tensor], tmp_path: Path) -> None:
    published["module.fnet.conv1.bias"] = published["fnet.conv1.bias"] + 1
    torch.save(published, tmp_path / "file.pth")
    refused(network, tmp_path / "file.pth", r": module.fnet.conv1.bias unknown$")


def test_a_network_of_another_size_refuses_it(published: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(published, tmp_path / "file.pth")
    refused(MemFlow(Architecture(channels=1)), tmp_path / "file.pth", r"\(64, 3, 7, 7\) instead of \(64, 1, 7, 7\)")


def test_code_in_a_file_is_not_run(network: MemFlow, published: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"model": published, "extra": Attack(tmp_path / "run")}, tmp_path / "bomb.pth")
    refused(network, tmp_path / "bomb.pth", "bomb.pth cannot be read as weights.*code in a file is never run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_cut_off_is_refused(
    network: MemFlow, published: dict[str, Tensor], tmp_path: Path, legacy: bool
) -> None:
    path = tmp_path / "file.pth"
    torch.save(published, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[:200_000])
    refused(network, path, "file.pth cannot be read as weights.*cut off")


@pytest.mark.parametrize("content", [{1: torch.zeros(1)}, [torch.zeros(1)], {"model": {"a": 1}}, torch.zeros(3)])
def test_what_is_no_table_of_tensors_is_refused(network: MemFlow, tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "file.pth")
    refused(network, tmp_path / "file.pth", "not a table of tensors by name")

from pathlib import Path

import pytest
import torch
from torch import Tensor

from flowchroma.app.networks import build_network
from flowchroma.errors import UserError
from flowchroma.models import SwinTExCo
from flowchroma.training import load_weights, save_weights
from flowchroma.weights import matching_trunk

FILES = {"embed": "embed_net", "warp": "nonlocal_net", "colornet": "colornet"}


@pytest.fixture(scope="module")
def network() -> SwinTExCo:
    with torch.no_grad():
        made = SwinTExCo(matching_trunk(weights="none"))
        for value in made.parameters():
            value.fill_(0)
    return made


@pytest.fixture(scope="module")
def published(network: SwinTExCo) -> dict[str, dict[str, Tensor]]:
    """What the published programs would save: three files."""
    return {
        part: {k: v + 1 + 0.001 * i for i, (k, v) in enumerate(network.get_submodule(part).state_dict().items())}
        for part in FILES
    }


def write(folder: Path, published: dict[str, dict[str, Tensor]], prefix: str = "", wrapper: str | None = None) -> Path:
    for part, state in published.items():
        named = {prefix + k: v for k, v in state.items()}
        torch.save({wrapper: named} if wrapper else named, folder / f"{FILES[part]}.pth")
    torch.save({"a": torch.zeros(1)}, folder / "discriminator.pth")
    return folder


@pytest.fixture
def blank(network: SwinTExCo) -> SwinTExCo:
    with torch.no_grad():
        for value in network.parameters():
            value.fill_(0)
    return network


def refused(network: SwinTExCo, where: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        load_weights(network, where)
    assert "\n" not in str(caught.value)
    assert not any(v.any() for v in network.parameters())


@pytest.mark.parametrize(
    ("prefix", "wrapper", "named"),
    [("", None, ""), ("module.", None, "colornet.pth"), ("module.", "state_dict", ""), ("", "model", "embed_net.pth")],
)
def test_published_files_load_entry_for_entry(
    blank: SwinTExCo, published, tmp_path: Path, prefix: str, wrapper: str | None, named: str
) -> None:
    load_weights(blank, write(tmp_path, published, prefix, wrapper) / named, "matcher")
    for part, state in published.items():
        assert all(torch.equal(v, state[k]) for k, v in blank.get_submodule(part).state_dict().items())


def test_a_checkpoint_needs_no_pretrained_trunk(published, tmp_path: Path, compose) -> None:
    config = compose("stage=swintexco", "model=swintexco", f"weights.model={write(tmp_path, published)}")
    assert config.model.trunk.weights == "auto"
    assert build_network(config.model, config.weights.model).warp.theta.bias[0] > 0


def test_what_does_not_fit_is_named_and_nothing_is_loaded(blank: SwinTExCo, published, tmp_path: Path) -> None:
    broken = {part: dict(state) for part, state in published.items()}
    del broken["warp"]["theta.weight"]
    refused(blank, write(tmp_path, broken), r"another network than SwinTExCo.*: warp.theta.weight missing$")
    broken["warp"]["theta.weight"] = torch.zeros(256, 512)
    refused(blank, write(tmp_path, broken), r": warp.theta.weight \(256, 512\) instead of \(256, 512, 1, 1\)$")
    broken["warp"] = {**published["warp"], "rho.weight": torch.zeros(1)}
    refused(blank, write(tmp_path, broken), r": warp.rho.weight unknown$")


def test_files_that_are_missing_or_double_are_named(blank: SwinTExCo, published, tmp_path: Path) -> None:
    write(tmp_path, published)
    (tmp_path / "colornet_2.pth").write_bytes(b"")
    refused(blank, tmp_path, "one file each of embed, nonlocal and colornet: it has .*colornet.pth, colornet_2.pth")
    for name in ("colornet.pth", "colornet_2.pth"):
        (tmp_path / name).unlink()
    refused(blank, tmp_path, "one file each of embed, nonlocal and colornet: it has embed_net.pth, nonlocal_net.pth$")
    refused(blank, tmp_path / "embed_net.pth", "another network than SwinTExCo")


def test_our_own_file_holds_all_three(blank: SwinTExCo, published, tmp_path: Path) -> None:
    load_weights(blank, write(tmp_path, published))
    save_weights(blank, tmp_path / "weights.safetensors", torch.float16)
    with torch.no_grad():
        blank.warp.theta.bias.zero_()
    load_weights(blank, tmp_path / "weights.safetensors")
    torch.testing.assert_close(blank.warp.theta.bias, published["warp"]["theta.bias"], atol=1e-3, rtol=0)

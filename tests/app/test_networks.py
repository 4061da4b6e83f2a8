from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flowchroma.app.networks import build_network, class_of, kind_of, model_configs_for, part_of
from flowchroma.app.settings import CONF
from flowchroma.errors import UserError
from flowchroma.models import BidirectionalFusion
from flowchroma.models.contracts import FlowNetwork, Fusion, Matcher

MODELS = sorted(file.stem for file in Path(CONF, "model").glob("*.yaml"))


def read(model: str):
    return OmegaConf.load(Path(CONF, "model", f"{model}.yaml"))


def test_each_model_is_of_one_kind() -> None:
    kinds = {kind: model_configs_for(kind) for kind in (FlowNetwork, Matcher, Fusion, BidirectionalFusion)}
    assert sorted(name for names in kinds.values() for name in names) == MODELS
    assert kinds[FlowNetwork] == ["memflow", "memflow_small"]
    assert kinds[Matcher] == ["swintexco", "swintexco_small"]
    assert kinds[BidirectionalFusion] == ["bidirectional"]
    assert [part_of(read(name)) for name in ("memflow", "swintexco", "unet")] == ["flow", "matcher", "fusion"]


class TakesSignals(Fusion):
    def forward(self, signals):
        return signals.match.ab


class TakesSteps:
    def step(self, luma, state):
        return None, state


def test_a_class_of_somebody_else_is_known_by_its_methods() -> None:
    assert kind_of(TakesSignals) is Fusion
    assert kind_of(TakesSteps) is FlowNetwork
    with pytest.raises(UserError, match="Path is no network"):
        kind_of(Path)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("flowchroma.models.NoSuch", "cannot be imported"), ("no.such.module", "cannot be imported"),
        ("flowchroma.ops.is_cut", "is no class"), (None, "cannot be imported"),
    ],
)  # fmt: skip
def test_a_wrong_target_is_one_line(target, said: str) -> None:
    with pytest.raises(UserError, match=said) as refusal:
        class_of(OmegaConf.create({"_target_": target}))
    assert "\n" not in str(refusal.value)


def test_weights_come_from_a_file_or_not_at_all(tmp_path: Path) -> None:
    shipped, fresh = (build_network(read("memflow_small"), weights) for weights in ("shipped", None))
    differs = [not (a == b).all() for a, b in zip(shipped.parameters(), fresh.parameters(), strict=True)]
    assert any(differs)
    with pytest.raises(UserError, match="another network than UNetFusion"):
        build_network(read("unet"), "shipped")
    with pytest.raises(UserError, match="no checkpoint at"):
        build_network(read("unet"), tmp_path / "nothing.ckpt")

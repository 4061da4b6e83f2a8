from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf
from torch import nn

from flowchroma.app.run.signatures import check_arguments, kind_of
from flowchroma.app.settings import CONF
from flowchroma.errors import UserError
from flowchroma.models import ErrorModel


def plain(compose, *typed: str) -> Any:
    config = compose(*typed, "name=unused")
    if "wandb" in config.logger:
        config.logger.wandb.update({"tags": ["a"], "group": "b"})  # a running Hydra's
    return OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("+model.nope=1", "model.nope is no option: those of flowchroma.models.SimpleFusion are width"),
        ("+data.augmentation.nope=1", "data.augmentation.nope is no option"),
        ("+data.sources.sample.nope=1", "data.sources.sample.nope is no option"),
        ("+optimizer.nope=1", "optimizer.nope is no option"),
        ("+scheduler.nope=1", "scheduler.nope is no option"),
        ("+callbacks.guard.nope=1", "callbacks.guard.nope is no option: those of flowchroma.training.Guard are path"),
        ("+trainer.strategy.nope=1", "trainer.strategy.nope is no option"),
        ("trainer.strategy.find_unused_parameters=abc", "give true or false"),
        ("trainer.strategy=3", "trainer.strategy=3: give a text, or Strategy by its _target_"),
        ("trainer.plugins=[3]", "trainer.plugins=[3]: give Precision by its _target_"),
        ("trainer.enable_model_summary=abc", "give true or false, or null"),
        ("+trainer.detect_anomaly=1", "trainer.detect_anomaly=1: give true or false"),
        ("logger.wandb.project=3", "logger.wandb.project=3: give a text, or null"),
        ("+logger.wandb.nope=3", "logger.wandb.nope is no option"),
        ("stage.module.growth={a:1}", "give a mapping from a whole number to a whole number, or null"),
        ("stage.module.growth={0:abc}", "stage.module.growth.0=abc: give a whole number"),
        ("stage.flow.cut=3", "stage.flow.cut=3: give a function by its _target_, or null"),
        ("stage.flow.refiner=null", "stage.flow.refiner=null: give Refiner by its _target_"),
        ("stage.flow.architecture.widths=abc", "give a list of each a whole number"),
        ("stage.flow.architecture.context_norm=nope", "give batch or instance"),
        ("loss.terms.l1=3", "loss.terms.l1=3: give Module by its _target_, or a function by its _target_"),
        ("loss.terms.l1.unit=abc", "loss.terms.l1.unit=abc: give a number"),
        ("+loss.terms.contextual.seeker=nope", "give reference or output"),
        ("loss.terms.l1._target_=flowchroma.losses.Nope", "loss.terms.l1._target_=flowchroma.losses.Nope cannot be"),
        ("data.sources.sample=3", "data.sources.sample=3: give Source by its _target_"),
        ("data.reference=3", "give a mapping from a text to a number, or null"),
        ("data.augmentation._target_=flowchroma.models.ErrorModel", "data.augmentation.crop_scale is no option"),
        ("callbacks.checkpoint.filename=3", "callbacks.checkpoint.filename=3: give a text, or null"),
    ],
)
def test_what_a_class_does_not_take_is_named_with_what_it_takes(compose, typed: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        check_arguments(plain(compose, "logger=wandb", "trainer=ddp_cpu", typed))
    assert said in str(refused.value)
    assert refused.value.code == 2
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "group", ["callbacks", "data", "logger", "loss", "model", "optimizer", "scheduler", "stage", "trainer"]
)
def test_every_file_is_right(compose, group: str) -> None:
    for file in Path(CONF, group).glob("[!_]*.yaml"):
        check_arguments(plain(compose, f"{group}={file.stem}"))


class OfAUser(nn.Module):
    def __init__(self, width: int = None, unannotated=(), *, names: Sequence[str] = (), **more: Any) -> None:  # noqa: RUF013
        super().__init__()


def test_a_class_of_a_user_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowchroma.models.OfAUser", OfAUser, raising=False)
    right = {"_target_": "flowchroma.models.OfAUser", "width": None, "unannotated": {}, "names": [], "other": 3}
    check_arguments({"model": right})
    for wrong in ({"width": "3"}, {"names": [3]}, {"names": "a"}):
        with pytest.raises(UserError, match="model"):
            check_arguments({"model": right | wrong})


@pytest.mark.parametrize(
    ("hint", "held", "refused"),
    [
        (int, [0, -3], [True, 1.0, "1", None]),
        (float, [0, 1.5], [True, "1", float("nan")]),
        (bool, [True], [1, "true"]),
        (str | None, ["", "a", None], [1]),
        (Literal["a", 1], ["a", 1], ["b", True]),
        (list[int] | str, [[], [1], "a"], [1, [1.5]]),
        (tuple[float, float], [[1, 2]], [[1], [1, 2, 3]]),
        (Mapping[str, Sequence[int]], [{}, {"a": [1]}], [{"a": 1}, {1: [1]}, [1]]),
        (Callable[[int], int], [{"_target_": "os.getcwd"}], [1, {}, "os.getcwd"]),
        (ErrorModel, [{"_target_": "flowchroma.models.ErrorModel"}], [1, {"_target_": "torch.nn.Linear"}]),
        (Any, [1, None, {}], []),
        (list, [1, []], []),
    ],
)
def test_a_type_stands_for_values(hint: Any, held: list[Any], refused: list[Any]) -> None:
    kind = kind_of(hint)
    assert [kind.holds(value) for value in (*held, *refused)] == [True] * len(held) + [False] * len(refused)

import pytest
from omegaconf import OmegaConf

from flowchroma.app.run.building import check_device
from flowchroma.app.run.schema import check_options
from flowchroma.errors import UserError


@pytest.fixture
def whole_config(compose):
    """What a run is composed of, without what only a running Hydra knows."""

    def composed(*typed: str):
        config = compose(*typed)
        config.name = "unused"
        if "logger" in config:
            config.logger = {"csv": {}}
        return config

    return composed


@pytest.mark.parametrize(
    "typed",
    [
        "data.batch_size=0", "data.batch_size=1.5", "data.batch_size=true", "data.num_workers=-1", "optimizer.lr=-1",
        "optimizer.lr=abc", "optimizer.lr=nan", "seed=abc", "seed=-1", "seed=null", "trainer.max_steps=0",
        "trainer.precision=fp16", "data.size=64", "data.size=[64]", "data.size=[8,8]", "data.stride=[2,1]",
        "data.clip_length=1", "trainer.devices=0", "trainer.devices=abc", "trainer.val_check_interval=0",
        "+trainer.overfit_batches=1", "loss.l1=-1", "loss.l1=inf", "model.width=0", "compile=maybe", "~logger",
        "~optimizer", "seed={}", "seed={a: 1}", "weights.model={a: b}", "optimizer._partial_=false", "+nope=1",
        "+model._partial_=true", "+data._args_=[1]", "data._convert_=nope", "+data.sources.sample.train_films=0",
        "stage.flow.memory_pool=0", "stage.matcher.votes=null", "trainer.precision=64-true", "~trainer.devices",
    ],
)  # fmt: skip
def test_an_option_that_makes_no_sense_is_named_with_what_it_may_be(whole_config, typed: str) -> None:
    with pytest.raises(UserError) as refused:
        check_options(whole_config(typed))
    assert refused.value.code == 2
    key = typed.strip("+~").partition("=")[0]
    assert key in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("stage", ["memflow", "swintexco", "swintexco_gan", "fusion"])
def test_what_is_shipped_is_right(whole_config, stage: str) -> None:
    check_options(whole_config(f"stage={stage}", "trainer=ddp", "callbacks=ema", "data=mix"))


def test_a_missing_device_is_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    config = OmegaConf.create({"trainer": {"accelerator": "gpu", "devices": 1}})
    with pytest.raises(UserError, match="there is no such device here") as refused:
        check_device(config)
    assert refused.value.code == 1


def test_a_variable_of_a_user_is_an_option(whole_config) -> None:
    check_options(whole_config("+my_width=24", "model.width=${my_width}"))


def test_more_processes_than_a_machine_can_have_are_refused() -> None:
    with pytest.raises(UserError, match=r"trainer\.devices=1000: "):
        check_device(OmegaConf.create({"trainer": {"accelerator": "cpu", "devices": 1000}}))

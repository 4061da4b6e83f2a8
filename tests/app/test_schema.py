import pytest
from omegaconf import OmegaConf

from flowchroma.app.building import refuse_missing_device
from flowchroma.app.schema import check_options
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
        "~optimizer",
    ],
)  # fmt: skip
def test_an_option_that_makes_no_sense_is_named_with_what_it_may_be(whole_config, typed: str) -> None:
    with pytest.raises(UserError) as refused:
        check_options(whole_config(typed))
    assert refused.value.code == 2
    key = typed.strip("+~").partition("=")[0]
    assert any(name in str(refused.value) for name in (key, "scheduler.T_max"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("stage", ["memflow", "swintexco", "swintexco_gan", "fusion"])
def test_what_is_shipped_is_right(whole_config, stage: str) -> None:
    check_options(whole_config(f"stage={stage}", "trainer=ddp", "callbacks=ema", "data=mix"))


def test_a_missing_device_is_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    config = OmegaConf.create({"trainer": {"accelerator": "gpu", "devices": 1}})
    with pytest.raises(UserError, match="there is no such device here") as refused:
        refuse_missing_device(config)
    assert refused.value.code == 1

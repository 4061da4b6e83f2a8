from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from flowchroma.data import Augmentation, ClipDataModule

CONF = Path(__file__).parents[2] / "conf"


def make(name, *overrides):
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose(overrides=[f"+data={name}", *overrides])
    return instantiate(config.data)


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (CONF / "data").glob("[!_]*.yaml") if path.stem != "rollouts")
)
def test_every_data_config_makes_a_data_module(name):
    module = make(name)
    assert isinstance(module, ClipDataModule)
    assert isinstance(module.augmentation, Augmentation)
    side = 128 if name == "sample" else 224
    assert (module.clip_length, module.size, module.batch_size, module.num_workers) == (4, (side, side), 4, 2)


def test_overrides_reach_it():
    module = make("sample", "data.size=[32,48]", "data.batch_size=2", "data.num_workers=0", "data.clip_length=3")
    batch = next(iter(module.train_dataloader()))
    assert batch.rgb.shape == (2, 3, 3, 32, 48)


def test_root_is_a_plain_option(davis):
    module = make("davis", f"data.root={davis()}", "data.size=[16,16]", "data.num_workers=0", "data.val_length=4")
    assert next(iter(module.train_dataloader())).rgb.shape == (4, 4, 3, 16, 16)


def test_seed_follows_the_runs():
    assert make("sample").seed == 0
    assert make("sample", "+seed=7").seed == 7


def test_mix_takes_what_has_a_root(davis):
    few = ["data.size=[16,16]", "data.num_workers=0", "data.sources.sample.clips_per_epoch=8", "data.val_length=4"]
    assert len(make("mix", *few).train_dataloader().dataset) == 8
    assert len(make("mix", *few, f"data.root.davis={davis()}").train_dataloader().dataset) == 16

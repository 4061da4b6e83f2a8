"""The options of a run, and what values they may have: checked when a run's config is composed."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowchroma.app.values import Either, Kind, Number, Several, Text, Unsupported, optional, whole, words
from flowchroma.errors import UserError

SMALLEST = 16  # pixels of a side, for the feature networks
GROUPS = ("stage", "model", "data", "loss", "optimizer", "trainer", "logger", "callbacks", "weights")
_SHARE = Number(0, 1)
_WEIGHT = Number(0)
_COUNT = whole(1)
_SWITCH = words(True, False)

# Keys may have *, which stands for any text; the first that fits counts. An option that is not here may have any value.
OPTIONS: Mapping[str, Kind] = {
    "seed": whole(0, 2**32 - 1),
    "optimized_metric": Text(),
    "compile": _SWITCH,
    "channels_last": _SWITCH,
    "resume": optional(Text()),
    "weights.*": optional(Text()),
    "data.seed": whole(0, 2**32 - 1),
    "data.clip_length": whole(2),
    "data.val_length": whole(2),
    "data.val_clips": _COUNT,
    "data.size": Several(whole(SMALLEST), 2),
    "data.batch_size": _COUNT,
    "data.num_workers": whole(0),
    "data.stride": Several(_COUNT, 2, rising=True),
    "data.references": _COUNT,
    "data.reference.*": _WEIGHT,
    "data.max_gap": optional(whole(0)),
    "data.augmentation.crop_scale": Several(Number(0, 1, above=True), 2, rising=True),
    "data.augmentation.flip": _SHARE,
    "data.augmentation.reverse": _SHARE,
    "data.augmentation.blur": _SHARE,
    "data.augmentation.saturation": _SHARE,
    "data.augmentation.brightness": _SHARE,
    "data.augmentation.hue": _WEIGHT,
    "data.augmentation.noise": _WEIGHT,
    "data.sources.*.size": Several(whole(SMALLEST), 2),
    "data.sources.*.clips_per_*": _COUNT,
    "data.sources.*.val_films": _COUNT,
    "data.sources.*.val_fraction": _SHARE,
    "data.sources.*.weight": Number(0, above=True),
    "optimizer.lr": Number(0, above=True),
    "optimizer.weight_decay": _WEIGHT,
    "optimizer.eps": _WEIGHT,
    "optimizer.betas": Several(_SHARE, 2),
    "optimizer.factors.*": _WEIGHT,
    "optimizer.amsgrad": _SWITCH,
    "scheduler.T_max": Either((whole(1), words(-1))),
    "scheduler.eta_min": _WEIGHT,
    "scheduler.max_lr": Number(0, above=True),
    "scheduler.total_*": Either((whole(1), words(-1))),
    "scheduler.pct_start": _SHARE,
    "scheduler.power": _WEIGHT,
    "scheduler.factor": Number(0, 1, above=True),
    "trainer.accelerator": words("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.devices": Either((_COUNT, words("auto", -1), Several(whole(0)))),
    "trainer.num_nodes": _COUNT,
    "trainer.precision": words(
        "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", 32, 16, 64, "32", "16", "64", "bf16"
    ),
    "trainer.max_steps": Either((_COUNT, words(-1))),
    "trainer.max_epochs": optional(Either((_COUNT, words(-1)))),
    "trainer.min_*": optional(_COUNT),
    "trainer.val_check_interval": _COUNT,
    "trainer.check_val_every_n_epoch": words(None),
    "trainer.log_every_n_steps": _COUNT,
    "trainer.gradient_clip_val": optional(_WEIGHT),
    "trainer.accumulate_grad_batches": _COUNT,
    "trainer.num_sanity_val_steps": whole(0),
    "trainer.use_distributed_sampler": words(False),
    "trainer.overfit_batches": Unsupported("data.sources.sample.clips_per_epoch=N, or a data.root with few films"),
    "trainer.reload_dataloaders_every_n_epochs": words(0),
    "trainer.limit_*": Either((_COUNT, Number(0, 1, above=True))),
    "loss.settings": Several(Text()),
    "loss.order": words(1, 2),
    "loss.gamma": Number(0, 1, above=True),
    "loss.levels": Several(_WEIGHT),
    "loss.trunk": words("vgg16", "vgg19"),
    "loss.download": _SWITCH,
    **{f"loss.{term}": _WEIGHT for term in ("l1", "perceptual", "contextual", "temporal", "smoothness")},
    **{f"loss.{term}": _WEIGHT for term in ("color", "epe", "census", "photometric")},
    "*.width": whole(1, 1024),
    "*.depth": whole(1, 6),
    "*.iterations": _COUNT,
    "*.temperature": Number(0, above=True),
    "stage.module.recent": whole(0),
    "stage.module.every": _COUNT,
    "stage.module.horizon": optional(_COUNT),
    "stage.module.occlusion": words("inside", "forward_backward"),
    "stage.module.adversarial": _WEIGHT,
    "stage.module.after_epoch": whole(0),
    "stage.module.discriminator_width": _COUNT,
    "callbacks.resumable.every_n_steps": _COUNT,
    "callbacks.guard.in_a_row": _COUNT,
    "callbacks.guard.total": _COUNT,
    "callbacks.ema.decay": _SHARE,
    "callbacks.projections.clips": _COUNT,
    "logger.wandb.offline": _SWITCH,
}


def check_options(config: DictConfig) -> None:
    """Refuse what no run can be made of.

    Raises:
        UserError: a group without a choice, or an option with a value that it cannot have.
    """
    for group in GROUPS:
        if not config.get(group):
            raise UserError(f"{group}=null: a run needs a choice of each of {', '.join(GROUPS[:-1])}", code=2)
    try:
        values = dict(_leaves(config))
    except OmegaConfBaseException as error:
        raise UserError(f"cannot read the options: {' '.join(str(error).split())}; see --help", code=2) from error
    for key, value in values.items():
        kind = next((kind for pattern, kind in OPTIONS.items() if fnmatchcase(key, pattern)), None)
        if kind is None and isinstance(value, float) and not Number().holds(value):
            kind = Number()
        if kind is not None and not kind.holds(value):
            raise UserError(f"{key}={_typed(value)}: give {kind}", code=2)


def _leaves(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every option by its dotted key; lists are values."""
    if not OmegaConf.is_dict(config):
        yield key, OmegaConf.to_container(config, resolve=True) if OmegaConf.is_list(config) else config
        return
    for name in config:
        yield from _leaves(config[name], f"{key}.{name}" if key else str(name))


def _typed(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))

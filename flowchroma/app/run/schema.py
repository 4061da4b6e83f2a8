"""The options of a run, and what values they may have: checked when a run's config is composed."""

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowchroma.app.run.values import (
    Either,
    Kind,
    Number,
    Several,
    Table,
    Text,
    Unsupported,
    check_value,
    optional,
    whole,
    words,
)
from flowchroma.errors import UserError

SMALLEST = 16  # pixels of a side, for the feature networks
GROUPS = ("stage", "model", "data", "loss", "optimizer", "trainer", "logger", "callbacks", "weights")
_SINGLE = ("seed", "name", "resume", "optimized_metric", "compile", "channels_last", "run_dir")
_NEEDED_OF_GROUPS = (
    "stage.name", "stage.module", "weights.model",
    *(f"trainer.{name}" for name in ("accelerator", "devices", "max_steps", "val_check_interval", "log_every_n_steps")),
    "trainer.accumulate_grad_batches",
)  # fmt: skip
_OF_STAGES = ("flow", "matcher", "fusion", "module")
_SHARE = Number(0, 1)
_WEIGHT = Number(0)
_COUNT = whole(1)
_SWITCH = words(True, False)
_ABOVE_0 = Number(0, above=True)

# Keys may have *, which stands for any text; the first that fits counts. An option that is not here may have any value
# that `signatures` allows.
OPTIONS: Mapping[str, Kind] = {
    **dict.fromkeys(("optimizer._partial_", "scheduler._partial_"), words(True)),
    **{f"{built}._partial_": words(False) for built in ("model", *(f"stage.{name}" for name in _OF_STAGES))},
    "*._partial_": _SWITCH,
    "*._recursive_": _SWITCH,
    "*._convert_": words("none", "partial", "object", "all"),
    "*._args_": Unsupported("each argument by its name"),
    "*._target_": Text(),
    "seed": whole(0, 2**32 - 1),
    "name": Text(),
    "optimized_metric": Text(),
    "compile": _SWITCH,
    "channels_last": _SWITCH,
    "resume": optional(Text()),
    "weights": Table(Text(), optional(Text())),
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
    "data.val_fraction": _SHARE,
    "data.val_frames": _COUNT,
    "data.max_gap": optional(whole(0)),
    "data.augmentation.crop_scale": Several(Number(0, 1, above=True), 2, rising=True),
    "data.augmentation.flip": _SHARE,
    "data.augmentation.swap": _SHARE,
    "data.augmentation.turn": Number(0, 180),
    "data.augmentation.scale": Several(_WEIGHT, 2, rising=True),
    "data.augmentation.reverse": _SHARE,
    "data.augmentation.blur": _SHARE,
    "data.augmentation.saturation": _SHARE,
    "data.augmentation.brightness": _SHARE,
    "data.augmentation.hue": _WEIGHT,
    "data.augmentation.noise": _WEIGHT,
    "data.sources.*.size": Several(whole(SMALLEST), 2),
    "data.sources.*.clips_per_*": _COUNT,
    "data.sources.*.*_films": _COUNT,
    "data.sources.*.frames": whole(2),
    "data.sources.*.motion": _WEIGHT,
    "data.sources.*.light": _WEIGHT,
    "data.sources.*.noise": _WEIGHT,
    "data.sources.*.val_fraction": _SHARE,
    "data.sources.*.weight": _ABOVE_0,
    "optimizer.lr": _ABOVE_0,
    "optimizer.weight_decay": _WEIGHT,
    "optimizer.eps": _WEIGHT,
    "optimizer.betas": Several(_SHARE, 2),
    "optimizer.factors.*": _WEIGHT,
    "optimizer.amsgrad": _SWITCH,
    "scheduler.T_max": Either((whole(1), words(-1))),
    "scheduler.eta_min": _WEIGHT,
    "scheduler.max_lr": _ABOVE_0,
    "scheduler.total_*": Either((whole(1), words(-1))),
    "scheduler.pct_start": _SHARE,
    "scheduler.power": _WEIGHT,
    "scheduler.factor": Number(0, 1, above=True),
    "trainer.accelerator": words("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.devices": Either((_COUNT, words("auto", -1), Several(whole(0)))),
    "trainer.num_nodes": _COUNT,
    "trainer.precision": words("32-true", "bf16-mixed", "16-mixed", 32, 16, "32", "16", "bf16"),
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
    "trainer.strategy.process_group_backend": words(None, "gloo", "nccl", "mpi", "ucc", "xccl"),
    "loss.settings": Several(Text()),
    "loss.order": words(1, 2),
    "loss.gamma": Number(0, 1, above=True),
    "loss.levels": Several(_WEIGHT),
    "loss.trunk": words("vgg16", "vgg19"),
    "loss.download": _SWITCH,
    **{f"loss.{term}": _WEIGHT for term in ("l1", "perceptual", "contextual", "temporal", "smoothness")},
    **{f"loss.{term}": _WEIGHT for term in ("color", "epe", "census", "photometric")},
    **{f"loss.{term}": _WEIGHT for term in ("relative", "distance", "expected")},
    **{f"loss.terms.*.{name}": _ABOVE_0 for name in ("unit", "bandwidth", "spread")},
    **{f"loss.terms.*.{name}": _WEIGHT for name in ("alpha", "edges")},
    "*.architecture.levels": whole(1, 8),
    "*.width": whole(1, 1024),
    "*.depth": whole(1, 6),
    "*.iterations": _COUNT,
    "*.temperature": _ABOVE_0,
    **dict.fromkeys(("*.error_model.scale", "*.error_model.most"), _ABOVE_0),
    "*.error_model.*": _WEIGHT,
    "*.memory_frames": whole(0),
    "*.memory_pool": _COUNT,
    "*.average_tokens": whole(2),
    "*.volume_limit": _ABOVE_0,
    "*.start.levels": _COUNT,
    **{f"*.start.{name}": whole(0) for name in ("finest", "radius", "smoothing")},
    "*.confidence.scale": _ABOVE_0,
    "*.refine_width": whole(1, 1024),
    "*.cells": _COUNT,
    "*.top": optional(_COUNT),
    "*.votes": whole(0),
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
    "callbacks.panels.limit": _COUNT,
    "logger.wandb.offline": _SWITCH,
    "hydra.sweeper.trials": _COUNT,
    "hydra.sweeper.parallel": _COUNT,
    "hydra.sweeper.seed": whole(0, 2**32 - 1),
}


def check_options(config: DictConfig) -> None:
    """Refuse what no run can be made of.

    Raises:
        UserError: a group without a choice, an option that nothing reads, one that is missing, or one with a value that
            it cannot have.
    """
    for group in GROUPS:
        if not config.get(group):
            raise UserError(f"{group}=null: a run needs a choice of each of {', '.join(GROUPS[:-1])}", code=2)
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"cannot read the options: {' '.join(str(error).split())}; see --help", code=2) from error
    known, raw = ("scheduler", *GROUPS, *_SINGLE), OmegaConf.to_container(config)
    for name in plain:
        if name not in known and not re.search(rf"\$\{{\.*{re.escape(str(name))}\b", str(raw)):
            raise UserError(f"{name} is no option: those are {', '.join(known)}; see --help", code=2)
    if missing := {*_SINGLE, *_NEEDED_OF_GROUPS} - dict(_values(plain, "")).keys():
        raise UserError(f"a run needs {min(missing)}: do not remove it", code=2)
    check_values(plain, derived={key for key, value in _values(raw, "") if str(value).startswith("${")})


def check_values(plain: Mapping[str, Any], key: str = "", derived: Collection[str] = ()) -> None:
    """Refuse values that an option cannot have.

    Args:
        plain: options, resolved.
        key: of their place in the config.
        derived: those that have the value of another, which is refused before them.

    Raises:
        UserError: with the first of them, and what it may be.
    """
    for where, value in sorted(_values(plain, key), key=lambda option: option[0] in derived):
        kind = next((kind for pattern, kind in OPTIONS.items() if fnmatchcase(where, pattern)), None)
        if kind is None and isinstance(value, float):
            kind = Number()
        if kind is not None:
            check_value(where, value, kind)


def _values(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every option by its dotted key, what is below it first; lists are values."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _values(one, f"{key}.{name}" if key else str(name))
    yield key, value

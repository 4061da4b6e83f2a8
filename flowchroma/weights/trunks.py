"""Trunks for matching: any of timm's, or torchvision's VGG."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flowchroma.errors import UserError
from flowchroma.files.download import DownloadError, download_file, unreachable
from flowchroma.models.swintexco.feature_pyramid import FeaturePyramid
from flowchroma.models.trunks.vgg import BLOCKS, LEVEL_CHANNELS, VGGLevels
from flowchroma.weights.cache import SUFFIXES, WeightsAbsent, fetch, read_tensors, torchvision_url
from flowchroma.weights.vgg_weights import fill

_LEVELS = 4
_ANSWER = 1.5  # seconds that a server has to answer
_WINDOW = 512  # positions in an attention window, at most: their square is held for every window and head
_TORCHVISION = "https://download.pytorch.org/models"
_FILES = ("model.safetensors", "pytorch_model.bin")


def matching_trunk(
    name: str = "swinv2_cr_tiny_ns_224",
    weights: str | Path = "auto",
    download: bool = True,
    normalize: bool = False,
    levels: Sequence[int] | None = None,
) -> FeaturePyramid:
    """Build a trunk, with pretrained weights.

    Args:
        name: "vgg16" or "vgg19" for torchvision's, else any of timm's that offers `features_only`.
        weights: "auto" for timm's or torchvision's cache, else a download into torchvision's; a file of timm's or
            torchvision's, safetensors or PyTorch's own; "none" for random values.
        download: whether "auto" may download.
        normalize: see `FeaturePyramid`.
        levels: which four of timm's levels; None takes the last four, or evenly spaced ones where all are of one size.

    Raises:
        UserError: no such network, no weights, or some that do not fit.
    """
    if str(weights) == "auto":
        _refuse_early(name, download)
    if name in BLOCKS:
        return _vgg(name, weights, download, normalize)
    try:
        import timm
    except ImportError:
        raise UserError(f"the trunk {name} needs timm: run pip install timm, or choose vgg16") from None
    try:
        config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except (RuntimeError, ValueError):
        config = None
    if config is None:
        close = difflib.get_close_matches(name, [*timm.list_models(), *BLOCKS], 3)
        raise UserError(f"no trunk {name}: choose one of timm's{', such as ' if close else ''}{', '.join(close)}")
    return _timm(name, config, weights, download, normalize, levels)


def _refuse_early(name: str, download: bool) -> None:
    """Say that weights are absent where neither a cache nor a server has them, before the seconds of heavy imports."""
    from huggingface_hub import constants

    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    kept = [p.name.removeprefix("models--timm--") for p in Path(constants.HF_HUB_CACHE).glob("models--timm--*")]
    kept += [p.name for p in _checkpoints("").glob("*") if p.suffix in SUFFIXES]
    if any(plain(file).startswith(plain(name.split(".")[0])) for file in kept):
        return
    server = _TORCHVISION if name in BLOCKS else f"{constants.ENDPOINT}/timm"
    if why := unreachable(server, _ANSWER) if download else "downloads are switched off":
        raise _absent(name, server, why)


def _vgg(arch: str, weights: str | Path, download: bool, normalize: bool) -> FeaturePyramid:
    trunk = VGGLevels(arch)
    if str(weights) == "auto":
        file, why = fetch(torchvision_url(arch), download, _ANSWER)
        if why:
            raise _absent(arch, torchvision_url(arch), why.removeprefix("the download failed: "))
        fill(trunk, file)
    elif str(weights) != "none":
        fill(trunk, Path(weights))
    return FeaturePyramid(trunk, LEVEL_CHANNELS, normalize)


def _timm(
    name: str, config: Any, weights: str | Path, download: bool, normalize: bool, levels: Sequence[int] | None
) -> FeaturePyramid:
    state = None if str(weights) == "none" else _state(name, config, weights, download)
    size = tuple(config.input_size[-2:])
    plan, trunk = _planned(name, bool(config.fixed_input_size), size, levels)
    if state is not None:
        trunk = _filled(plan, trunk, size, state, weights)
    info = trunk.feature_info
    channels, strides = info.channels()[-_LEVELS:], info.reduction()[-_LEVELS:]
    if len(channels) < _LEVELS:
        raise UserError(f"timm's {name} gives {len(channels)} levels, where {_LEVELS} are matched: name four")
    return FeaturePyramid(trunk, channels, normalize, max(strides), plan.build if plan.sized else None, size)


@dataclass(frozen=True)
class _Plan:
    """How to build a network of timm's."""

    name: str
    levels: tuple[int, ...] | None = None
    sized: bool = False  # built for one size of frames
    resampled: bool = False  # has a table of positions, and fits it to each frame by itself

    def build(self, size: tuple[int, int], **arguments: Any) -> Any:
        """The network for frames of (height, width); equal values at each call."""
        import timm

        if self.levels is not None:
            arguments["out_indices"] = self.levels
        if self.sized:
            arguments["img_size"] = size
        if self.resampled:
            arguments["dynamic_img_size"] = True
        if self.sized and self.name.startswith("swinv2_cr"):
            arguments["window_ratio"] = _window_ratio(size)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return timm.create_model(self.name, features_only=True, **arguments)
        except (RuntimeError, TypeError, ValueError, AssertionError, IndexError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"timm's {self.name} serves no trunk, or has other weights: {reason}") from error


def _planned(name: str, fixed: bool, size: tuple[int, int], levels: Sequence[int] | None) -> tuple[_Plan, Any]:
    """Find out how a network is built, and build it."""
    plan = first = _Plan(name, None if levels is None else tuple(levels))
    trunk = plan.build(size)
    info = trunk.feature_info
    if levels is None and len(set(info.reduction())) == 1:
        depth = len(info.info)
        plan = replace(plan, levels=tuple(depth * (i + 1) // _LEVELS - 1 for i in range(_LEVELS)))
    if fixed:
        table = any("pos_embed" in key for key in trunk.state_dict())
        plan = replace(plan, sized=not table, resampled=table)
    # At this size a network built for it is the one that there is.
    return plan, trunk if replace(plan, sized=False) == first else plan.build(size)


def _window_ratio(size: tuple[int, int]) -> int:
    """Patches of four pixels that a frame is divided into windows by: eight, and twice as often in large frames."""
    ratio = 8
    while size[0] * size[1] > _WINDOW * (4 * ratio) ** 2:
        ratio *= 2
    return ratio


def _filled(
    plan: _Plan, blank: nn.Module, size: tuple[int, int], state: Mapping[str, Tensor], weights: str | Path
) -> Any:
    """The network with weights, which have to be its own: timm skips what does not fit."""
    trunk = plan.build(size, pretrained=True, pretrained_cfg_overlay={"state_dict": dict(state), "custom_load": False})
    drawn = dict(blank.named_parameters())
    for name, value in trunk.named_parameters():
        if value.ndim > 1 and value.std() > 0 and torch.equal(value, drawn[name]):
            place = "the cached file" if str(weights) == "auto" else weights
            raise UserError(f"{place} is not of timm's {plan.name}: it lacks {name}")
    return trunk


def _state(name: str, config: Any, weights: str | Path, download: bool) -> Mapping[str, Tensor]:
    if str(weights) != "auto":
        path = Path(weights)
        if not path.is_file():
            raise UserError(f"no trunk weights at {path}: name an existing file, or weights=auto or none")
        return read_tensors(path, f"timm's {name}")
    if (file := _cached(config)) is not None:
        return read_tensors(file, f"timm's {name}")
    if (published := _published(config)) is None:
        raise WeightsAbsent(f"timm publishes no weights of {name}: choose another trunk, or name a file of its weights")
    source, file = published
    why = "downloads are switched off"
    if download:
        try:
            download_file(source, file, _ANSWER)
            return read_tensors(file, f"timm's {name}")
        except DownloadError as error:
            why = str(error)
    raise _absent(name, source, why)


def _cached(config: Any) -> Path | None:
    """A network's weights where timm, or an older timm, or this module has put them."""
    from huggingface_hub import try_to_load_from_cache

    if config.hf_hub_id:
        for name in (config.hf_hub_filename,) if config.hf_hub_filename else _FILES:
            if isinstance(found := try_to_load_from_cache(config.hf_hub_id, name), str):
                return Path(found)
    places = [_published(config), (config.url, _checkpoints(config.url)) if config.url else None]
    return next((place[1] for place in places if place is not None and place[1].is_file()), None)


def _published(config: Any) -> tuple[str, Path] | None:
    """Where timm publishes a network's weights, and where they are put."""
    from huggingface_hub import constants

    if config.hf_hub_id:
        file = config.hf_hub_filename or _FILES[0]
        kept = config.hf_hub_id.rsplit("/", 1)[-1] + Path(file).suffix
        return f"{constants.ENDPOINT}/{config.hf_hub_id}/resolve/main/{file}", _checkpoints(kept)
    return (config.url, _checkpoints(config.url)) if config.url else None


def _checkpoints(url: str) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[-1])


def _absent(name: str, source: str, why: str) -> WeightsAbsent:
    return WeightsAbsent(
        f"weights of the trunk {name} are in no cache, and {source} cannot be reached ({why}): set the trunk's weights "
        "to a file of them, or to none for random values"
    )

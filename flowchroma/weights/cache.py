"""Weights that torchvision and others publish: where they are cached, and the error when they are absent."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flowchroma.errors import UserError
from flowchroma.files.checkpoints import cause_of
from flowchroma.files.download import DownloadError, download_file

SUFFIXES = (".safetensors", ".pth", ".pt")


class WeightsAbsent(UserError):  # noqa: N818 (a state of this machine, reported beside scores)
    """Weights that are nowhere to be found; its text says which, and where to put them."""


def fetch(url: str, download: bool = True, timeout: float = 3.0) -> tuple[Path, str]:
    """Find a published file in torchvision's cache, else download it into it, by `download_file`.

    Returns its place in the cache, and why it is not there, empty if it is.
    """
    cached = Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[-1])
    if cached.exists():
        return cached, ""
    if not download:
        return cached, "downloads are switched off"
    try:
        download_file(url, cached, timeout)
    except DownloadError as error:
        return cached, f"the download failed: {error}"
    return cached, ""


def torchvision_url(arch: str) -> str:
    """Where torchvision publishes a network's ImageNet weights, as of "vgg16"."""
    import torchvision  # slow to import, and a named file does not need it

    return torchvision.models.get_model_weights(arch).IMAGENET1K_V1.url


def weight_files(folder: str | Path | None) -> list[Path]:
    """Files of weights in a folder, or the one that is named; a `UserError` where nothing is there."""
    if folder is None:
        return []
    place = Path(folder).expanduser()
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError(f"no weights at {place}: name an existing file or folder")
    return sorted(path for path in place.iterdir() if path.suffix in SUFFIXES and path.is_file())


def read_file(path: Path) -> Any:
    """What a file of safetensors or of PyTorch's own holds; nothing in it is run.

    A `UserError` where it is damaged or holds more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged file can make a reader raise anything
        reason = f"{type(error).__name__}; {cause_of(error)}"
        raise UserError(f"{path} cannot be read as weights: {reason}: delete it or get it again") from error


def read_tensors(path: Path, of: str) -> Mapping[str, Tensor]:
    """Read a file of weights, by `read_file`; a `UserError` names those `of` what it should be."""
    state = read_file(path)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} is not a table of tensors by name: name a file of {of}")
    return state


def misfit(slots: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What keeps a table of weights from filling parameters; empty if nothing does."""
    if missing := [key for key in slots if key not in state]:
        return f"it lacks {missing[0]} ({len(missing)} of {len(slots)} missing)"
    for key, slot in slots.items():
        if state[key].shape != slot.shape:
            return f"it has {key} as {tuple(state[key].shape)}, not {tuple(slot.shape)}"
        if not torch.isfinite(state[key]).all():
            return f"it holds values that are not finite in {key}"
    return ""

"""LPIPS and the Inception network of FID, where their weights are available."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from flowchroma.errors import UserError
from flowchroma.metrics import inception_features, lpips_distance
from flowchroma.weights import WeightsAbsent, load_inception, load_lpips

log = logging.getLogger(__name__)
LPIPS = ("alex", "vgg")


@dataclass(frozen=True)
class PerceptualNetworks:
    """LPIPS and Inception networks."""

    lpips: dict[str, nn.Module] = field(default_factory=dict)  # by trunk, "alex" or "vgg"
    inception: nn.Module | None = None  # for the features of FID; None for no FID
    absent: dict[str, str] = field(default_factory=dict)  # why a measure is unavailable, by its key

    def distances(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """LPIPS by key, of one frame (1, 3, H, W) uint8."""
        return {f"lpips_{net}": float(lpips_distance(n, prediction, target)) for net, n in self.lpips.items()}

    def features(self, frame: Tensor) -> Tensor | None:
        """Inception features of a frame, (1, 2048); None without the network."""
        return None if self.inception is None else inception_features(self.inception, frame).cpu()

    @property
    def keys(self) -> list[str]:
        """The measures that are available."""
        return [*(f"lpips_{net}" for net in self.lpips), *(["fid"] if self.inception is not None else [])]


def load_perceptual_networks(
    lpips: Sequence[str], fid: bool, folder: str | Path | None, download: bool, device: torch.device
) -> PerceptualNetworks:
    """Load the networks whose weights are available; `absent` gives the reason for the others.

    Args:
        lpips: trunks of LPIPS, of "alex" and "vgg".
        fid: whether FID is wanted.
        folder: where weights are looked for first.
        download: whether what is in no cache may be downloaded.
        device: where the networks are to work.

    Raises:
        UserError: LPIPS has no such trunk, or the folder is not there.
    """
    lpips = [lpips] if isinstance(lpips, str) else lpips
    if not isinstance(fid, bool):
        raise UserError(f"fid must be true or false, not {fid}", code=2)
    if unknown := sorted(set(lpips) - set(LPIPS)):
        raise UserError(f"LPIPS has no trunk {unknown[0]}: give lpips=[{','.join(LPIPS)}] or fewer", code=2)
    if folder is not None and not Path(folder).is_dir():
        raise UserError(f"weights={folder} is not a folder: give the one that holds the files of weights")
    place = None if folder is None else Path(folder)
    absent = {f"lpips_{net}": "not asked for" for net in LPIPS if net not in lpips}
    absent |= {} if fid else {"fid": "not asked for"}
    wanted: dict[str, Callable[[Path | None, bool], nn.Module]] = {
        f"lpips_{net}": partial(load_lpips, net) for net in lpips
    }
    wanted |= {"fid": load_inception} if fid else {}
    found: dict[str, nn.Module] = {}
    for key, load in wanted.items():
        try:
            found[key] = load(place, download).to(device)
        except WeightsAbsent as error:
            absent[key] = str(error)
    inception = found.pop("fid", None)
    return PerceptualNetworks(
        {key.removeprefix("lpips_"): network for key, network in found.items()}, inception, absent
    )

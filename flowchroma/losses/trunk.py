"""The frozen feature network that terms share."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from flowchroma.color import lab_to_rgb
from flowchroma.errors import UserError
from flowchroma.losses.prediction import Features
from flowchroma.models.trunks.vgg import VGGFeatures, nearest_layer
from flowchroma.weights import load_vgg

LayerWeights = Mapping[str, float] | Sequence[float]


class Trunk:
    """A frozen network that is no part of the loss's parameters, state_dict or process group.

    It is not an `nn.Module`, so that no checkpoint carries it, no optimizer sees it, and several processes do not
    exchange it. It moves to the device of what it is given. Features are float32, also under autocast.

    Args:
        network: sRGB in [0, 1], (B, 3, H, W), to features by layer name.
        used: one line for the run's record that says which network and weights these are.
    """

    def __init__(self, network: nn.Module, used: str = "") -> None:
        self._network, self._used = network.eval().requires_grad_(False), used
        self._reference: tuple[Tensor, int, Features] | None = None

    @property
    def network(self) -> nn.Module:
        """The frozen network."""
        return self._network

    @property
    def used(self) -> str:
        """One line for the run's record."""
        return self._used

    def require(self, layers: LayerWeights) -> dict[str, float]:
        """Announce the layers that a term reads; its weight of each by name, or a `UserError` for a list."""
        if not isinstance(layers, Mapping):
            raise UserError("name the layers of the loss's trunk, as in {relu3_2: 0.5, relu4_2: 0.5}")
        return {str(name): float(weight) for name, weight in layers.items()}

    def __call__(self, rgb: Tensor) -> Features:
        """Compute the features, by layer name, of (B, 3, H, W), sRGB in [0, 1]."""
        self._prepare(rgb.device)
        with torch.autocast(rgb.device.type, enabled=False):
            return self.network(rgb.float())

    @torch.no_grad()
    def constant(self, lab: Tensor) -> Features:
        """Compute the features of CIELAB images, (B, 3, H, W), that need no gradient.

        Of (B, R, 3, H, W), the R maps of an item lie one below the other.
        """
        if lab.ndim == 4:
            return self(lab_to_rgb(lab))
        found = self(lab_to_rgb(lab.flatten(0, 1)))
        return {k: f.unflatten(0, lab.shape[:2]).transpose(1, 2).flatten(2, 3) for k, f in found.items()}

    def of_reference(self, lab: Tensor) -> Features:
        """Like `constant`, but the last result is kept: the frames of a clip have one reference."""
        if torch.is_inference_mode_enabled() or lab.is_inference():  # without version counter, and unfit for training
            return self.constant(lab)
        if self._reference is None or self._reference[0] is not lab or self._reference[1] != lab._version:
            self._reference = (lab, lab._version, self.constant(lab))
        return self._reference[2]

    def _prepare(self, device: torch.device) -> None:
        with torch.inference_mode(False):  # weights moved by a validation must still serve training
            self.network.to(device)


class VGGTrunk(Trunk):
    """A pretrained VGG, loaded at its first use, to the deepest layer that a term has required by then.

    Where the weights at hand lack a layer, the nearest one takes its place (`nearest_layer`).

    Args:
        arch: "vgg16" or "vgg19".
        weights: "auto" (torchvision's cache, else a download, else what ships), "shipped" (VGG16 to relu4_3), or a file
            with torchvision's key names.
        download: whether "auto" may download.
    """

    def __init__(self, arch: str = "vgg19", weights: str | Path = "auto", download: bool = True) -> None:
        self._source = (arch, weights, download)
        self._layers: tuple[str, ...] = ()
        self._loaded: tuple[VGGFeatures, str] | None = None
        self._reference = None

    @property
    def network(self) -> VGGFeatures:
        """The network; its first use raises a `UserError` for an unknown layer, or weights that do not fit."""
        return self._load()[0]

    @property
    def used(self) -> str:
        """Which weights it has; loads them, with the errors of `network`."""
        return self._load()[1]

    def require(self, layers: LayerWeights) -> dict[str, float]:
        """Announce the layers that a term reads, each with a weight above 0, or a `UserError`."""
        named = super().require(layers)
        if bad := [layer for layer, weight in named.items() if weight <= 0]:
            raise UserError(f"the loss's layer {', '.join(bad)} has a weight of 0 or less: leave it out")
        if not set(named) <= set(self._layers):
            self._layers, self._loaded, self._reference = (*self._layers, *named), None, None
        return named

    def __call__(self, rgb: Tensor) -> Features:
        """Compute the features, by layer name, of (B, 3, H, W), sRGB in [0, 1]."""
        found = super().__call__(rgb)
        return {layer: found[nearest_layer(layer, found)] for layer in self._layers}

    def _load(self) -> tuple[VGGFeatures, str]:
        if self._loaded is None:
            arch, weights, download = self._source
            self._loaded = load_vgg(arch, self._layers, weights, download)
        return self._loaded


class MatchingTrunk(Trunk):
    """The trunk of the matching network that is trained: it stays on that network's device, and is frozen in it.

    It must not learn: features that move towards each other for any input would lower the loss without better colour.

    Args:
        network: sRGB in [0, 1], (B, 3, H, W), to levels, the finest first: a list, or by name.

    The levels are named "deepest", "deepest-1" and so on towards the finest.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        with torch.no_grad():
            found = self(torch.zeros(1, 3, 64, 64, device=next(network.parameters()).device))
        self.layers = tuple(found)  # the deepest first
        self._used = f"the matching network's own, {len(self.layers)} levels"

    def require(self, layers: LayerWeights) -> dict[str, float]:
        """Announce the levels that a term reads, and its weight of each.

        By name; or in a list from the finest to the deepest, of which a trunk with fewer levels lacks the first, and no
        trunk may have more.
        """
        if isinstance(layers, Mapping):
            return super().require(layers)
        if len(self.layers) > len(layers):
            raise UserError(f"the trunk has {len(self.layers)} levels: give loss.levels a weight for each")
        return {level: float(weight) for level, weight in zip(self.layers, reversed(layers), strict=False)}

    def __call__(self, rgb: Tensor) -> Features:
        """Compute the features, by level, of (B, 3, H, W), sRGB in [0, 1]."""
        found: Mapping[str, Tensor] | Iterable[Tensor] = super().__call__(rgb)
        levels = list(found.values()) if isinstance(found, Mapping) else list(found)
        return {f"deepest-{depth}" if depth else "deepest": level for depth, level in enumerate(reversed(levels))}

    def _prepare(self, device: torch.device) -> None:
        self.network.eval()  # whoever trains the whole network has switched it


class FeatureTerm(nn.Module):
    """A term that compares features of a trunk.

    Args:
        trunk: gives the features.
        layers: weight of each layer; see `Trunk.require`.
    """

    def __init__(self, trunk: Trunk, layers: LayerWeights) -> None:
        super().__init__()
        self.trunk, self.layers = trunk, trunk.require(layers)


_cache: WeakValueDictionary[tuple[str, str, bool], VGGTrunk] = WeakValueDictionary()


def vgg_trunk(arch: str = "vgg19", weights: str | Path = "auto", download: bool = True) -> VGGTrunk:
    """The `VGGTrunk` of these arguments: the same object for all terms that name it, as long as one of them has it."""
    key = (arch, str(weights), download)
    trunk = _cache.get(key)
    if trunk is None:
        trunk = _cache[key] = VGGTrunk(arch, weights, download)
    return trunk

"""VGG trunks with pretrained weights, and the weights that ship with the package."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from flowchroma.errors import UserError
from flowchroma.models.trunks.vgg import BLOCKS, VGGFeatures, VGGLevels, conv_indices, nearest_layer
from flowchroma.weights.cache import fetch, misfit, read_tensors, torchvision_url

log = logging.getLogger(__name__)
Trunk = TypeVar("Trunk", VGGFeatures, VGGLevels)

SHIPPED_SYSTEM = Path(__file__).parent / "small" / "weights.safetensors"
SHIPPED_VGG = Path(__file__).with_name("vgg16_relu4_3_fp16.safetensors")
_SHIPPED_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


def load_vgg(
    arch: str = "vgg19",
    layers: Sequence[str] = _SHIPPED_LAYERS,
    weights: str | Path = "auto",
    download: bool = True,
    url: str | None = None,
) -> tuple[VGGFeatures, str]:
    """Load a pretrained VGG trunk.

    "auto" takes torchvision's cache, else a download into it, else the shipped VGG16 to relu4_3: a warning says so, and
    each layer that it lacks is served by `nearest_layer`.

    Args:
        arch: "vgg16" or "vgg19".
        layers: as in ("relu1_2", "relu2_2").
        weights: "auto", "shipped", or a file with torchvision's key names, safetensors or PyTorch's own.
        download: whether "auto" may download (548 MB for VGG19).
        url: where to download from instead of torchvision's server.

    Returns:
        The trunk, and one line for the run's record that says which weights it has.

    Raises:
        UserError: an unknown network or layer, or a file that is missing, unreadable or does not fit.
    """
    try:
        wanted = VGGFeatures(arch, layers)
    except ValueError as error:
        raise UserError(f"the loss's trunk cannot be built: {error}") from error
    if str(weights) == "shipped":
        return _shipped(wanted)
    if str(weights) != "auto":
        return fill(wanted, Path(weights)), f"{arch} ({weights})"
    cached, why = fetch(url := url or torchvision_url(arch), download)
    if not why:
        return fill(wanted, cached), f"{arch} (torchvision, IMAGENET1K_V1)"
    trunk, used = _shipped(wanted)
    line = f"{arch} is not in torchvision's cache and {why}, so the loss uses {used}; to have the real one, put"
    # One process a machine warns; all of them have it in their record.
    level = logging.WARNING if os.environ.get("LOCAL_RANK", "0") == "0" else logging.DEBUG
    log.log(level, f"{line} {url} at {cached}")
    return trunk, used


def shipped_trunk(layers: Sequence[str] = ("relu2_2", "relu3_3", "relu4_3")) -> VGGFeatures:
    """The VGG16 trunk that ships with the package, to some of relu1_2, relu2_2, relu3_3 and relu4_3."""
    return load_vgg("vgg16", list(layers), "shipped")[0]


def _shipped(wanted: VGGFeatures) -> tuple[VGGFeatures, str]:
    served = {layer: nearest_layer(layer, _SHIPPED_LAYERS) for layer in wanted.layers}
    trunk = fill(VGGFeatures("vgg16", list(served.values())), SHIPPED_VGG)
    moved = ", ".join(f"{a} -> {b}" for a, b in served.items() if a != b)
    place = f" in place of {wanted.arch}" if wanted.arch != "vgg16" or moved else ""
    place += f": {moved}" if moved else ""
    return trunk, f"vgg16 to relu4_3 (shipped with FlowChroma{place})"


def fill(trunk: Trunk, path: Path) -> Trunk:
    """Load torchvision's weights into a VGG, or a part of one, that has torchvision's names.

    A `UserError` where the file is missing, unreadable or of another network.
    """
    if not path.is_file():
        raise UserError(f"no VGG weights at {path}: name an existing file, or weights=auto")
    state = read_tensors(path, "torchvision's VGG")
    convs = {int(found[1]) for key in state if (found := re.fullmatch(r"features\.(\d+)\.weight", key))}
    if strange := convs - set(conv_indices(trunk.arch).values()):
        fits = [arch for arch in BLOCKS if convs <= set(conv_indices(arch).values())]
        hint = f"set the trunk to {fits[0]}" if fits else "name a file of torchvision's VGG"
        raise UserError(f"{path} does not hold {trunk.arch} (features.{min(strange)} is not one of its layers): {hint}")
    own = trunk.state_dict()
    if lack := misfit(own, state):
        raise UserError(f"{path} does not fit {trunk.arch}, {lack}: name another file, or get it again")
    trunk.load_state_dict({key: state[key] for key in own})
    return trunk

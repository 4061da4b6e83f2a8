"""The light trunk for matching, which ships with the package."""

from pathlib import Path

from safetensors.torch import load_file

from flowchroma.models.trunks.light import LightTrunk

_FOLDER = Path(__file__).parent


def light_trunk() -> LightTrunk:
    """EfficientNet-Lite0 and XFeat, with the weights that ship with the package."""
    trunk = LightTrunk()
    lite, xfeat = (
        load_file(_FOLDER / f"{name}_fp16.safetensors") for name in ("efficientnet_lite0_stride16", "xfeat_dense")
    )
    trunk.load_official(lite, xfeat)
    return trunk

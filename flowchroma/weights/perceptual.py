"""The networks of LPIPS and FID: LPIPS' heads come inside their package, its trunk and FID's Inception do not."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from flowchroma.errors import UserError
from flowchroma.weights.cache import WeightsAbsent, fetch, misfit, read_tensors, torchvision_url, weight_files

INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/pt_inception-2015-12-05-6726825d.pth"
_INCEPTION = INCEPTION_URL.rsplit("/", 1)[-1]
_TRUNKS = {"alex": "alexnet", "vgg": "vgg16"}
_SMALLEST = {"alex": 31, "vgg": 16}  # below it, a pooling layer has nothing left


class Frozen(nn.Module):
    """Holds a network in evaluation mode and without gradients of its weights, also inside a module that trains."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in evaluation mode."""
        return super().train(False)


class LPIPSNetwork(Frozen):
    """The network of `lpips_distance`: an `lpips.LPIPS` on the trunk `net`, "alex" or "vgg"."""

    def __init__(self, network: nn.Module, net: str) -> None:
        super().__init__(network)
        self.net = net

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare images, (B, 3, H, W), RGB in [-1, 1]: (B,). A `UserError` where they are too small for the trunk."""
        height, width = prediction.shape[-2:]
        if min(height, width) < (smallest := _SMALLEST[self.net]):
            raise UserError(
                f"LPIPS-{self.net} needs frames of {smallest} x {smallest} pixels at least, not {width} x {height}: "
                "score larger frames or leave LPIPS out"
            )
        return self.network(prediction, target).flatten()


def load_lpips(net: str = "alex", folder: str | Path | None = None, download: bool = True) -> LPIPSNetwork:
    """Load LPIPS, version 0.1.

    The trunk comes from `folder`, else from torchvision's cache, else from a download into that cache.

    Args:
        net: the trunk, "alex" or "vgg".
        folder: a file with torchvision's key names (`features.0.weight`), or a folder searched for one that fits.
        download: whether the trunk may be downloaded (233 MB for alex, 528 MB for vgg).

    Raises:
        WeightsAbsent: no trunk is to be had, or the package is not installed; its line says what is missing and where
            to put it.
        UserError: an unknown trunk, a folder that does not exist, or a named file that does not fit.
    """
    if net not in _TRUNKS:
        raise UserError(f"LPIPS has no trunk {net!r}: use one of {', '.join(_TRUNKS)}")
    network = _blank(net)
    state = _trunk(net, _slots(network), folder, download)
    with torch.no_grad():
        for key, parameter in _slots(network).items():
            parameter.copy_(state[key])
    return LPIPSNetwork(network, net)


def _blank(net: str) -> nn.Module:
    """LPIPS with its trained heads on a trunk of random numbers."""
    try:
        import lpips
    except ImportError as error:
        raise WeightsAbsent("LPIPS needs the package lpips: pip install lpips, or leave LPIPS out") from error
    # The package draws the trunk's numbers from the global generator, and asks torchvision in its old words.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lpips.LPIPS(net=net, pnet_rand=True, pnet_tune=False, eval_mode=True, verbose=False)


def _slots(network: nn.Module) -> dict[str, Tensor]:
    """The trunk's parameters by torchvision's key names; the package cuts it in slices and keeps the numbers."""
    trunk = network.get_submodule("net")
    return {f"features.{name.split('.', 1)[1]}": parameter for name, parameter in trunk.named_parameters()}


def _trunk(net: str, slots: Mapping[str, Tensor], folder: str | Path | None, download: bool) -> Mapping[str, Tensor]:
    arch, short = _TRUNKS[net], ""
    files = weight_files(folder)
    named = bool(files) and folder is not None and Path(folder).expanduser() == files[0]
    for path in files:
        try:
            state = read_tensors(path, f"torchvision's {arch}")
            lack = misfit(slots, state)
        except UserError:
            if named:
                raise
            continue  # another file of the folder may be whole
        if not lack:
            return state
        if named:
            raise UserError(f"{path} is not enough for LPIPS-{net}, {lack}: name a file of torchvision's {arch}")
        if "features.0.weight" in state and state["features.0.weight"].shape == slots["features.0.weight"].shape:
            short = f"; {path} is not enough, {lack}"
    cached = _fetched(torchvision_url(arch), folder, download, f"LPIPS-{net} lacks torchvision's {arch}", short)
    state = read_tensors(cached, f"torchvision's {arch}")
    if lack := misfit(slots, state):
        raise UserError(f"{cached} is not torchvision's {arch}, {lack}: delete it or get it again")
    return state


class InceptionFeatures(Frozen):
    """8-bit RGB frames to FID's features; scales them to 299 x 299 as the original did."""

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (B, 3, H, W), uint8, to (B, 2048)."""
        return self.network(frames)[0]


def load_inception(
    folder: str | Path | None = None, download: bool = True, url: str = INCEPTION_URL
) -> InceptionFeatures:
    """Load FID's network.

    The weights come from `folder`, else from PyTorch's cache, else from a download into that cache.

    Args:
        folder: the file, or a folder with it under its published name.
        download: whether it may be downloaded (95 MB).
        url: where to download from instead of torch-fidelity's server.

    Raises:
        WeightsAbsent: no weights are to be had, or the package is not installed; raised within two seconds.
        UserError: a folder that does not exist, or a file that does not fit.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        hint = "FID needs the package torch-fidelity: pip install torch-fidelity, or leave FID out"
        raise WeightsAbsent(hint) from error
    files = [path for path in weight_files(folder) if path.name == _INCEPTION or path == Path(str(folder)).expanduser()]
    path = files[0] if files else _fetched(url, folder, download, "FID lacks its Inception network")
    read_tensors(path, "FID's Inception")  # torch-fidelity's own reading would run what a hostile file says
    try:
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    except RuntimeError as error:
        raise UserError(f"{path} does not fit FID's Inception: get {_INCEPTION} from {url}") from error
    return InceptionFeatures(network)


def _fetched(url: str, folder: str | Path | None, download: bool, lack: str, more: str = "") -> Path:
    """A published file in the cache; a `WeightsAbsent` says what is lacking, and where to put it."""
    cached, why = fetch(url, download, timeout=1.5)
    if why:
        place = f"{cached}" if folder is None else f"{cached} or into {folder}"
        raise WeightsAbsent(f"{lack} and {why}: put {url} at {place}{more}")
    return cached

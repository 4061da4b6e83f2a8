"""The Inception network of FID, as torch-fidelity ported it from the original."""

from pathlib import Path

from torch import Tensor

from flowchroma.errors import UserError
from flowchroma.weights.cache import WeightsAbsent, candidates, fetch, read_tensors
from flowchroma.weights.frozen import Frozen

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/pt_inception-2015-12-05-6726825d.pth"
_NAME = URL.rsplit("/", 1)[-1]


class InceptionFeatures(Frozen):
    """8-bit RGB frames to FID's features; scales them to 299 x 299 as the original did."""

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (B, 3, H, W), uint8, to (B, 2048)."""
        return self.network(frames)[0]


def load_inception(folder: str | Path | None = None, download: bool = True, url: str = URL) -> InceptionFeatures:
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
    path = _locate(folder, download, url)
    read_tensors(path, "FID's Inception")  # torch-fidelity's own reading would run what a hostile file says
    try:
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    except RuntimeError as error:
        raise UserError(f"{path} does not fit FID's Inception: get {_NAME} from {url}") from error
    return InceptionFeatures(network)


def _locate(folder: str | Path | None, download: bool, url: str) -> Path:
    if folder is not None:
        place = Path(folder).expanduser()
        if found := [path for path in candidates(place) if path == place or path.name == _NAME]:
            return found[0]
    cached, why = fetch(url, download, timeout=1.5)
    if why:
        goal = f"{cached}" if folder is None else f"{cached} or into {folder}"
        raise WeightsAbsent(f"FID lacks its Inception network and {why}: put {url} at {goal}")
    return cached

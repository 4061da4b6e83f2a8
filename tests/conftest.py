from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real footage and golden outputs beside the checkout; what needs them is skipped where they are absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the checkout: real clips and golden outputs are not here")
    return folder


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


@pytest.fixture
def compose():
    """Compose the real configuration with overrides, as the command line does."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from flowchroma.settings import CONF

    def composed(*overrides: str, name: str = "config"):
        with initialize_config_dir(CONF, version_base="1.3"):
            return hydra_compose(name, overrides=[*overrides, "run_dir=unused"] if name == "config" else [*overrides])

    return composed


@pytest.fixture
def build(compose):
    """Build a network by the name of its file in conf/model."""
    from flowchroma.loading import build_model

    def built(name: str, *overrides: str):
        matchers = {"swintexco_small": "swintexco", "swintexco": "swintexco"}
        stage = {"memflow_small": "memflow", "memflow": "memflow", **matchers}.get(name, "fusion")
        # Pretrained weights are not on every machine.
        blank = ["model.trunk.weights=none"] if name == "swintexco" else []
        return build_model(compose(f"stage={stage}", f"model={name}", *blank, *overrides).model, "").eval()

    return built

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

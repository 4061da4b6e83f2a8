from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.models.estimate import Estimate

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path: Path) -> EstimateFiles:
    return EstimateFiles(tmp_path / "estimates")


def estimate(height: int = 5, width: int = 7) -> Estimate:
    return Estimate(torch.rand(1, 2, height, width) * 220 - 110, torch.rand(1, 1, height, width) * 89 + 0.3)


@given(
    st.lists(
        st.tuples(st.floats(-128, 127, width=32), st.floats(-128, 127, width=32), st.floats(0.25, 100, width=32)),
        min_size=1,
        max_size=20,
    )
)
def test_an_estimate_comes_back_within_half_a_unit_and_a_hundredth_of_its_error(pixels: list[tuple]) -> None:
    kept = torch.tensor(pixels).T[None, :, None]
    with TemporaryDirectory() as folder:
        files = EstimateFiles(Path(folder))
        files.put(3, Estimate(kept[:, :2], kept[:, 2:]))
        back = files.get(3, CPU)
    assert (back.ab - kept[:, :2]).abs().max() <= 0.5
    assert (back.error / kept[:, 2:] - 1).abs().max() <= 0.013


def test_what_is_out_of_range_comes_back_as_the_nearest(files: EstimateFiles) -> None:
    files.put(0, Estimate(torch.tensor([-200.0, 200.0]).view(1, 2, 1, 1), torch.full((1, 1, 1, 1), 0.01)))
    files.put(1, Estimate(torch.zeros(1, 2, 1, 1), torch.full((1, 1, 1, 1), 1e6)))
    assert files.get(0, CPU).ab.flatten().tolist() == [-128, 127]
    assert files.get(0, CPU).error.item() == pytest.approx(0.25)
    assert files.get(1, CPU).error.item() == pytest.approx(100)


def test_luminance_is_taken_once_and_fine(files: EstimateFiles, tmp_path: Path) -> None:
    luma = torch.rand(1, 1, 6, 8) * 100
    luma[0, 0, 0, :2] = torch.tensor([0.0, 100.0])
    files.put_luma(12, luma)
    back = files.take_luma(12, CPU)
    assert back.shape == luma.shape
    assert (back - luma).abs().max() < 1e-3
    assert not list((tmp_path / "estimates").iterdir())


def test_numbers_tell_estimates_from_each_other_and_from_luminance(files: EstimateFiles, tmp_path: Path) -> None:
    first, second = estimate(), estimate()
    files.put_luma(1, torch.full((1, 1, 5, 7), 50.0))
    assert not files.has(1), "luminance is no estimate"
    files.put(1, first)
    files.put(100_000_001, second)
    assert (files.get(1, CPU).ab - first.ab).abs().max() <= 0.5
    assert (files.get(100_000_001, CPU).ab - second.ab).abs().max() <= 0.5
    files.drop(1)
    files.drop(1)  # of a frame that has none
    assert not files.has(1)
    assert files.has(100_000_001)
    files.drop(100_000_001)
    assert float(files.take_luma(1, CPU).mean()) == pytest.approx(50, abs=1e-3)
    assert not list((tmp_path / "estimates").iterdir())


def test_the_space_asked_for_is_enough(files: EstimateFiles, tmp_path: Path) -> None:
    height, width, frames = 40, 60, 6
    head = 128  # bytes of an .npy file before its numbers

    def taken() -> int:
        sizes = [path.stat().st_size - head for path in (tmp_path / "estimates").iterdir()]
        return sum(sizes)

    most = 0
    for n in range(frames):
        files.put_luma(n, torch.full((1, 1, height, width), 50.0))
        most = max(most, taken())
    for n in reversed(range(frames)):
        files.take_luma(n, CPU)
        files.put(n, estimate(height, width))
        most = max(most, taken())
    assert most == EstimateFiles.bytes_for(frames, (height, width))

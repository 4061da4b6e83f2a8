import time

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from flowchroma.errors import UserError
from flowchroma.metrics import FID, frechet_distance


def normal(size: int, rank: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(size, rank, generator=generator, dtype=torch.float64)
    return torch.randn(size, generator=generator, dtype=torch.float64), half @ half.T / rank


@pytest.mark.parametrize("ranks", [(12, 12), (4, 12), (4, 3)])
def test_equals_the_root_of_the_product(ranks):
    (m1, c1), (m2, c2) = normal(12, ranks[0], 0), normal(12, ranks[1], 1)
    # scipy's root is right for regular matrices alone: add what makes them so to both.
    c1, c2 = c1 + 1e-4 * torch.eye(12), c2 + 1e-4 * torch.eye(12)
    root = np.real(sqrtm(c1.numpy() @ c2.numpy()))
    expected = ((m1 - m2) ** 2).sum() + c1.trace() + c2.trace() - 2 * np.trace(root)
    assert frechet_distance(m1, c1, m2, c2).item() == pytest.approx(expected.item(), rel=1e-7)
    assert frechet_distance(m2, c2, m1, c1).item() == pytest.approx(expected.item(), rel=1e-7)


def test_diagonal_normals_in_closed_form():
    a, b = torch.rand(2, 30, dtype=torch.float64)
    mean = torch.randn(30, dtype=torch.float64)
    expected = mean.square().sum() + (a - b).square().sum()
    got = frechet_distance(torch.zeros(30), (a**2).diag(), mean, (b**2).diag())
    torch.testing.assert_close(got, expected)


def test_a_set_is_no_distance_from_itself():
    mean, cov = normal(40, 5, 0)  # fewer samples than features: a singular covariance
    assert 0 <= frechet_distance(mean, cov, mean, cov).item() < 1e-6


def test_sums_give_torch_fidelitys_figure():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    real, fake = torch.rand(50, 16).double() + 3, torch.rand(40, 16).double() * 2 + 3
    metric = FID(size=16)
    for part in real.split(7):
        metric.update(part, real=True)
    for part in fake.split(11):
        metric.update(part, real=False)
    statistics = [fid_features_to_statistics(side) for side in (real, fake)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    got = metric.compute()
    assert got.dtype == torch.float64
    assert got.item() == pytest.approx(expected, rel=1e-7)


def test_two_processes_make_one_set():
    real, fake = torch.rand(20, 4), torch.rand(20, 4)
    whole, one, other = FID(size=4), FID(size=4), FID(size=4)
    for metric, part in ((whole, slice(None)), (one, slice(0, 3)), (other, slice(3, None))):
        metric.update(real[part], real=True)
        metric.update(fake[part], real=False)
    one.merge_state(other)
    torch.testing.assert_close(one.compute(), whole.compute())


@pytest.mark.parametrize("side", [True, False])
@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_samples_are_refused(side, count, recwarn):
    metric = FID(size=4)
    metric.update(torch.rand(5, 4), real=not side)
    metric.update(torch.rand(count, 4), real=side)
    with pytest.raises(UserError, match=f"2 {'real' if side else 'predicted'} frames, not {count}"):
        metric.compute()
    assert not recwarn.list


def test_features_of_the_real_size_take_seconds():
    metric = FID()
    features = torch.rand(300, 2048)
    metric.update(features, real=True)
    metric.update(features.flip(0), real=False)
    start = time.perf_counter()
    assert metric.compute().item() == pytest.approx(0, abs=1e-4)
    assert time.perf_counter() - start < 60

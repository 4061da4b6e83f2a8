import doctest
import importlib
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma import metrics

COUNT = 6


def frames() -> torch.Tensor:
    return torch.randint(0, 256, (COUNT, 3, 14, 13), dtype=torch.uint8)


def mask() -> torch.Tensor:
    known = torch.rand(COUNT, 1, 14, 13) > 0.4
    known[2] = False  # an image of which nothing is known
    return known


def flow() -> torch.Tensor:
    return 4 * torch.randn(COUNT, 2, 14, 13)


# How each class is made, and what it is given, for COUNT images; the function of one image at a time beside it.
CASES = {
    "MeanPSNR": (
        lambda **k: metrics.MeanPSNR(data_range=255, **k),
        lambda: (frames(), frames()),
        lambda a, b: metrics.psnr(a, b, 255),
    ),
    "EndPointError": (metrics.EndPointError, lambda: (flow(), flow(), mask()), metrics.epe),
    "AUSE": (metrics.AUSE, lambda: (mask().float() * 3, torch.rand(COUNT, 1, 14, 13), mask()), metrics.ause),
}
every = pytest.mark.parametrize("name", CASES)


def expected(name, given_):
    _, _, function = CASES[name]
    figures = torch.cat([function(*(x[i : i + 1] for x in given_)) for i in range(COUNT)])
    assert not figures.isnan().all()
    return figures.nanmean()


@every
@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, COUNT - 1), max_size=4))
def test_mean_is_over_images_however_they_are_batched(name, cuts):
    make, inputs, _ = CASES[name]
    given_ = inputs()
    metric = make()
    bounds = [0, *sorted(set(cuts)), COUNT]
    for start, end in pairwise(bounds):
        metric.update(*(x[start:end] for x in given_))
    torch.testing.assert_close(metric.compute(), expected(name, given_))
    assert metric.total.dtype == torch.float64
    metric.reset()
    assert metric.count == 0


@every
def test_merging_two_instances(name):
    make, inputs, _ = CASES[name]
    given_ = inputs()
    one, other = make(), make()
    one.update(*(x[:1] for x in given_))
    other.update(*(x[1:] for x in given_))
    one.merge_state(other)
    torch.testing.assert_close(one.compute(), expected(name, given_))


@every
def test_two_processes_see_the_mean_of_all_images(name):
    make, inputs, _ = CASES[name]
    given_ = inputs()
    ranks: list = []

    def gather(state, group=None):
        """Stand in for the exchange under DDP: the state of that name on every process."""
        (held,) = [held for held in ("total", "count") if getattr(ranks[0], held) is state]
        return [getattr(rank, held) for rank in ranks]

    for part in (slice(0, 1), slice(1, None)):
        ranks.append(make(dist_sync_fn=gather, distributed_available_fn=lambda: True))
        ranks[-1].update(*(x[part] for x in given_))
    before = ranks[0].count.clone()
    torch.testing.assert_close(ranks[0].compute(), expected(name, given_))
    assert ranks[0].count == before  # its own again, after the exchange


def test_float64_survives_a_cast_of_its_module():
    module = torch.nn.ModuleList([metrics.MeanPSNR(data_range=1.0)]).half()
    assert module[0].total.dtype == torch.float64
    for _ in range(3):
        module[0].update(torch.zeros(1, 1), torch.full((1, 1), 0.1))
    assert module[0].compute().item() == pytest.approx(20, abs=1e-5)


def test_a_flow_that_is_not_a_number_does_not_go_unseen():
    metric = metrics.EndPointError()
    metric.update(torch.full((1, 2, 4, 4), float("nan")), torch.zeros(1, 2, 4, 4))
    assert torch.isnan(metric.compute())


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_not_a_number():
    assert torch.isnan(metrics.EndPointError().compute())


def test_every_class_is_covered():
    classes = {name for name, found in vars(metrics).items() if isinstance(found, type)}
    assert classes == {*CASES, "RatioOfMeans", "FID", "CdcStream"}


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_a_ratio_is_of_means_and_no_mean_of_ratios():
    metric = metrics.RatioOfMeans()
    assert torch.isnan(metric.compute())
    for one, other in ((1.0, 1.0), (2.0, 5.0)):
        metric.update(torch.full((1, 1, 4, 4), one), torch.full((1, 1, 4, 4), other))
    assert metric.compute() == 0.5


@pytest.mark.parametrize("name", ["image", "color_difference", "temporal", "flow", "fid", "classes"])
def test_examples(name):
    module = importlib.import_module(f"flowchroma.metrics.{name}")
    result = doctest.testmod(module, extraglobs={"torch": torch})
    assert result.attempted > 0
    assert result.failed == 0

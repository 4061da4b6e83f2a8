import doctest

import pytest
import torch

from flowchroma.metrics import EndPointError, MeanPSNR, classes, epe, functional, psnr


def frames(count):
    return torch.rand(count, 3, 5, 6), torch.rand(count, 3, 5, 6)


def test_mean_is_over_frames_not_over_batches():
    torch.manual_seed(0)
    metric, figures = MeanPSNR(data_range=1.0), []
    for count in (1, 4, 2):
        batch = frames(count)
        metric.update(*batch)
        figures.append(psnr(*batch, 1.0))
    torch.testing.assert_close(metric.compute(), torch.cat(figures).mean())
    metric.reset()
    assert metric.frames == 0


def test_float64_survives_a_cast_of_its_module():
    module = torch.nn.ModuleList([MeanPSNR(data_range=1.0)]).half()
    assert module[0].total.dtype == torch.float64
    for _ in range(3):
        module[0].update(torch.zeros(1, 1), torch.full((1, 1), 0.1))
    assert module[0].compute().item() == pytest.approx(20, abs=1e-5)


def test_two_processes_see_the_mean_of_all_frames():
    torch.manual_seed(1)
    first, second = frames(1), frames(5)
    whole = MeanPSNR(data_range=1.0)
    whole.update(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
    ranks: list[MeanPSNR] = []

    def gather(state, group=None):
        """Stand in for the exchange under DDP: the state of that name on every process."""
        (name,) = [name for name in ("total", "frames") if getattr(ranks[0], name) is state]
        return [getattr(rank, name) for rank in ranks]

    for batch in (first, second):
        ranks.append(MeanPSNR(data_range=1.0, dist_sync_fn=gather, distributed_available_fn=lambda: True))
        ranks[-1].update(*batch)
    torch.testing.assert_close(ranks[0].compute(), whole.compute())
    assert ranks[0].frames == 1  # its own again, after the exchange


def test_merging_two_instances():
    torch.manual_seed(1)
    first, second = frames(1), frames(5)
    whole, one, other = (MeanPSNR(data_range=1.0) for _ in range(3))
    for metric, batch in ((one, first), (other, second), (whole, first), (whole, second)):
        metric.update(*batch)
    one.merge_state(other)
    torch.testing.assert_close(one.compute(), whole.compute())


def test_end_point_error_skips_frames_without_flow():
    torch.manual_seed(2)
    flow, target = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    mask = torch.rand(3, 1, 4, 4) > 0.5
    mask[1] = False
    metric = EndPointError()
    metric.update(flow, target, mask)
    torch.testing.assert_close(metric.compute(), epe(flow, target, mask)[[0, 2]].mean())
    metric.update(flow[1:2], target[1:2], mask[1:2])
    assert metric.frames == 2
    metric.update(flow, target)
    assert metric.frames == 5


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_not_a_number():
    assert torch.isnan(EndPointError().compute())


@pytest.mark.parametrize("module", [functional, classes])
def test_examples(module):
    result = doctest.testmod(module, extraglobs={"torch": torch})
    assert result.attempted > 0
    assert result.failed == 0

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.stats import entropy
from torch.nn import functional as F

from flowchroma import ops


def smooth(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    coarse = torch.rand(batch, channels, height // 4 + 2, width // 4 + 2)
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")


def test_warp_agrees_with_scipy() -> None:
    image, flow = torch.rand(1, 1, 13, 17), 6 * torch.rand(1, 2, 13, 17) - 3
    y, x = torch.meshgrid(torch.arange(13.0), torch.arange(17.0), indexing="ij")
    expected = map_coordinates(image[0, 0], [y + flow[0, 1], x + flow[0, 0]], order=1, mode="nearest")
    torch.testing.assert_close(ops.backward_warp(image, flow)[0, 0], torch.from_numpy(expected), atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(-3, 3), st.integers(-3, 3))
def test_warp_by_whole_pixels_is_a_shift(dx: int, dy: int) -> None:
    image = torch.rand(2, 3, 16, 16)
    flow = torch.tensor([float(dx), float(dy)]).view(1, 2, 1, 1).expand(2, 2, 16, 16)
    inner = slice(4, 12)
    shifted = image[:, :, 4 + dy : 12 + dy, 4 + dx : 12 + dx]
    torch.testing.assert_close(ops.backward_warp(image, flow)[:, :, inner, inner], shifted, atol=1e-5, rtol=0)


def test_inside_is_true_up_to_the_border_and_not_beyond() -> None:
    flow = torch.zeros(1, 2, 4, 5)
    flow[0, 0, :, 4] = 0.1
    flow[0, 1, 0] = -0.1
    expected = torch.ones(4, 5)
    expected[:, 4] = 0
    expected[0] = 0
    assert torch.equal(ops.points_inside(flow)[0, 0], expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([4, 8, 16]), st.sampled_from([0, 32]))
def test_padding_reaches_the_multiple_and_crops_back(height: int, width: int, multiple: int, at_least: int) -> None:
    image = torch.rand(1, 2, height, width)
    padded, padding = ops.pad_to_multiple(image, multiple, at_least)
    assert all(side % multiple == 0 and side >= at_least for side in padded.shape[-2:])
    assert torch.equal(padding.crop(padded), image)


def test_lookup_reads_the_correlation_at_each_offset() -> None:
    first, second = torch.rand(1, 5, 8, 9), torch.rand(1, 5, 8, 9)
    pyramid = ops.CorrelationPyramid(first, second, levels=2, radius=1)
    read = pyramid.lookup(ops.pixel_grid(8, 9, like=first))
    # Channel 7 of the first level is (dx, dy) = (1, 0).
    expected = (first[0, :, 3, 4] * second[0, :, 3, 5]).sum() / math.sqrt(5)
    torch.testing.assert_close(read[0, 7, 3, 4], expected)
    pooled = torch.nn.functional.avg_pool2d(second, 2)
    # The middle of the second level is sampled at (4 / 2, 2 / 2).
    torch.testing.assert_close(read[0, 9 + 4, 2, 4], (first[0, :, 2, 4] * pooled[0, :, 1, 2]).sum() / math.sqrt(5))


def test_convex_upsampling_of_a_constant_flow_is_constant() -> None:
    weights = torch.softmax(torch.randn(1, 9, 8, 8, 5, 6), dim=1)
    flow = torch.tensor([0.5, -0.25]).view(1, 2, 1, 1).expand(1, 2, 5, 6)
    fine = ops.convex_upsample(flow, weights)
    assert fine.shape == (1, 2, 40, 48)
    torch.testing.assert_close(fine[0, :, 20, 20], torch.tensor([4.0, -2.0]))


def test_convex_upsampling_puts_each_weight_in_its_place() -> None:
    weights = torch.zeros(1, 9, 2, 2, 3, 3)
    weights[:, 4] = 1
    weights[0, :, 1, 0, 1, 1] = 0
    weights[0, 5, 1, 0, 1, 1] = 1  # the right-hand neighbour, for the lower left fine pixel of the middle
    flow = torch.arange(9.0).view(1, 1, 3, 3).repeat(1, 2, 1, 1)
    fine = ops.convex_upsample(flow, weights, factor=2)
    assert fine[0, 0, 2, 2] == 2 * 4
    assert fine[0, 0, 3, 2] == 2 * 5


def test_upsampling_between_neighbours_can_be_bilinear() -> None:
    nearest, across = 9 / 16, 3 / 16
    corners = torch.tensor([[1 / 16, across, across, nearest], [across, 1 / 16, nearest, across]])
    corners = torch.stack([corners, corners[:, [2, 3, 0, 1]]])  # (2, 2, 4): by the fine pixel's row and column
    weights = corners.permute(2, 0, 1).view(1, 4, 2, 2, 1, 1).expand(2, -1, -1, -1, 5, 7)
    flow = torch.randn(2, 2, 5, 7)
    torch.testing.assert_close(ops.convex_upsample_2x(flow, weights), ops.rescale_flow(flow, (10, 14)))


def test_upsampling_between_neighbours_puts_each_weight_in_its_place() -> None:
    weights = torch.zeros(1, 4, 2, 2, 3, 3)
    weights[:, 0] = 1
    weights[0, :, 1, 0, 1, 1] = 0
    weights[0, 3, 1, 0, 1, 1] = 1  # lower right of the four around the lower left fine pixel of the middle: (2, 1)
    flow = torch.arange(9.0).view(1, 1, 3, 3).repeat(1, 2, 1, 1)
    fine = ops.convex_upsample_2x(flow, weights)
    assert fine[0, 0, 3, 2] == 2 * 7
    assert fine[0, 0, 2, 2] == 2 * 0  # upper left of its four: (0, 0)
    assert fine[0, 0, 3, 3] == 2 * 4


def test_certainty_is_one_minus_the_normalised_entropy() -> None:
    p = torch.softmax(torch.randn(4, 7), dim=1)
    expected = [1 - entropy(row.numpy()) / math.log(7) for row in p]
    torch.testing.assert_close(ops.certainty(p, dim=1), torch.tensor(expected, dtype=torch.float32))
    assert ops.certainty(torch.eye(7)[:1], dim=1) == 1
    assert ops.certainty(torch.full((1, 7), 1 / 7), dim=1) < 1e-6


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_matching_in_chunks_equals_the_dense_softmax(chunk: int) -> None:
    q, k = (torch.nn.functional.normalize(torch.randn(2, n, 6, dtype=torch.float64), dim=2) for n in (11, 13))
    v = torch.randn(2, 13, 2, dtype=torch.float64)
    read, best, _ = ops.match(q, k, v, 0.1, chunk)
    scores = torch.einsum("bnc,bmc->bnm", q, k)
    torch.testing.assert_close(read, torch.softmax(scores / 0.1, dim=2) @ v)
    torch.testing.assert_close(best[..., 0], scores.max(dim=2).values)


@pytest.mark.parametrize("shift", [(0.6, -0.4), (3.0, 2.0), (-7.0, 5.0)])
def test_lucas_kanade_finds_a_shift_under_a_change_of_light(shift: tuple[float, float]) -> None:
    previous = 20 + 60 * smooth(1, 1, 96, 112)
    flow = torch.tensor(shift).view(1, 2, 1, 1).expand(1, 2, 96, 112)
    luma = 0.9 * ops.backward_warp(previous, flow) + 4
    found = ops.lucas_kanade(luma, previous)
    error = (found - flow).norm(dim=1)[:, 16:-16, 16:-16]
    assert error.median() < 0.15
    assert error.mean() < 0.05 * flow.norm(dim=1).mean() + 0.2


def test_lucas_kanade_stops_where_it_is_told() -> None:
    previous, flow = 20 + 60 * smooth(1, 1, 96, 112), torch.tensor([3.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 96, 112)
    found = ops.lucas_kanade(ops.backward_warp(previous, flow), previous, finest=2)
    assert found.shape == (1, 2, 24, 28)
    assert (ops.rescale_flow(found, (96, 112)) - flow).norm(dim=1)[:, 16:-16, 16:-16].median() < 0.5


def test_lucas_kanade_leaves_a_flat_frame_still() -> None:
    flat = torch.full((1, 1, 32, 32), 50.0)
    assert ops.lucas_kanade(flat, flat + 1).abs().max() < 1e-3


@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_polish_takes_the_last_fraction_of_a_pixel_and_keeps_what_is_right(gain: float) -> None:
    torch.manual_seed(1)
    texture = torch.nn.functional.interpolate(torch.rand(1, 1, 20, 24) * 60 + 20, (80, 96), mode="bicubic")
    true = torch.tensor([1.6, -0.7]).view(1, 2, 1, 1).expand(1, 2, 80, 96)
    luma = (ops.backward_warp(texture, true) * gain).clamp(0, 100)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    off = true + torch.tensor([0.4, 0.3]).view(1, 2, 1, 1)
    errors = [(flow - true)[inner].norm(dim=1).mean() for flow in (off, ops.refine_flow(off, luma, texture))]
    assert errors[1] < errors[0] / 4
    assert (ops.refine_flow(true, luma, texture) - true)[inner].norm(dim=1).mean() < 0.1


def test_polish_keeps_the_edge_between_two_motions() -> None:
    torch.manual_seed(2)
    texture = torch.nn.functional.interpolate(torch.rand(1, 1, 20, 40) * 60 + 20, (80, 160), mode="bicubic")
    true = torch.zeros(1, 2, 80, 160)
    true[:, 0, :, 80:] = 3
    luma = ops.backward_warp(texture, true)
    refined = ops.refine_flow(true, luma, texture)
    assert (refined[:, 0, 10:-10, 70:80]).abs().mean() < 0.3
    assert (refined[:, 0, 10:-10, 80:90] - 3).abs().mean() < 0.3


def test_four_images_are_the_pixels_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.rand(2, 3, 6, 8)
    parts = [whole[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    assert torch.equal(ops.interleave(parts), whole)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.equal(ops.interleave(parts), whole)


def test_pixels_of_squares_become_channels_in_a_graph_and_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(2, 3, 6, 8)
    expected = F.pixel_unshuffle(image, 2)
    assert torch.equal(ops.unshuffle(image), expected)
    assert torch.equal(ops.unshuffle(image.contiguous(memory_format=torch.channels_last)), expected)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.equal(ops.unshuffle(image), expected)


def test_features_get_unit_length_and_none_stay_none() -> None:
    features = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    features[0, :, 1, 2] = 0
    torch.testing.assert_close(ops.unit_length(features), F.normalize(features, dim=1))


@pytest.mark.parametrize("radius", [1, 4])
def test_the_mean_of_a_window_has_a_form_for_graphs(radius: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = 100 * torch.rand(2, 3, 17, 12, dtype=torch.float64)
    expected = ops.window_mean(image, radius)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(ops.window_mean(image, radius), expected)

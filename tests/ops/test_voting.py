"""Votes of overlapping patches against a loop over pixels, and what they are for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops


def tokens(grid: Tensor) -> Tensor:
    return grid.flatten(2).transpose(1, 2)


def voted(
    luma: Tensor, lab: Tensor, place: Tensor, similarity: Tensor, temperature: float = 0.1, noise: float = 3.0
) -> tuple[Tensor, Tensor, Tensor]:
    own = ops.extract_patches(luma, 4)
    votes = ops.patch_votes(tokens(own), tokens(ops.extract_patches(lab, 4)), place, similarity, temperature, noise)
    return ops.merge_votes(votes.transpose(1, 2).unflatten(2, own.shape[-2:]), 4)


def colours(*size: int) -> Tensor:
    return torch.rand(*size, dtype=torch.float64) * 40 + 20


def by_hand(luma: Tensor, lab: Tensor, place: Tensor, similarity: Tensor, y: int, x: int) -> Tensor:
    """The colour of one pixel, voted on by the cells whose patches cover it."""
    height, width = luma.shape[-2:]
    columns = width // 4
    mine, theirs = (F.pad(image, (2, 2, 2, 2), mode="replicate")[0] for image in (luma, lab))
    total, weight = torch.zeros(2, dtype=luma.dtype), torch.zeros((), dtype=luma.dtype)
    for row in range(height // 4):
        for column in range(columns):
            dy, dx = y - (4 * row - 2), x - (4 * column - 2)  # within the patch
            if not (0 <= dy < 8 and 0 <= dx < 8):
                continue
            cell = row * columns + column
            hat = (1 - abs(dy - 3.5) / 4) * (1 - abs(dx - 3.5) / 4)
            for found, like in zip(place[0, cell], similarity[0, cell], strict=True):
                there = (4 * int(found // columns), 4 * int(found % columns))
                square = torch.stack(
                    [
                        (theirs[0, there[0] + i, there[1] + j] - mine[0, 4 * row + i, 4 * column + j]) ** 2
                        for i in range(max(dy - 1, 0), min(dy + 2, 8))
                        for j in range(max(dx - 1, 0), min(dx + 2, 8))
                    ]
                ).mean()
                vote = hat * torch.exp((like - similarity[0, cell].max()) / 0.1 - square / (2 * 3.0**2))
                total = total + vote * theirs[1:, there[0] + dy, there[1] + dx]
                weight = weight + vote
    return total / weight


def test_equals_a_loop_over_pixels() -> None:
    torch.manual_seed(0)
    luma, lab = colours(1, 1, 8, 12), colours(1, 3, 8, 12)
    lab[:, :1] = luma + torch.randn_like(luma) * 3
    place, similarity = torch.randint(0, 6, (1, 6, 2)), torch.rand(1, 6, 2, dtype=torch.float64)
    ab, _, _ = voted(luma, lab, place, similarity)
    for y, x in ((0, 0), (1, 11), (3, 4), (5, 7), (7, 2)):
        torch.testing.assert_close(ab[0, :, y, x], by_hand(luma, lab, place, similarity, y, x))


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 4), columns=st.integers(1, 4), seed=st.integers(0, 1000))
def test_a_frame_that_finds_itself_gets_its_own_colours(rows: int, columns: int, seed: int) -> None:
    torch.manual_seed(seed)
    lab = colours(2, 3, 4 * rows, 4 * columns)
    place = torch.arange(rows * columns).view(1, -1, 1).expand(2, -1, -1)
    ab, similarity, difference = voted(lab[:, :1], lab, place, torch.full(place.shape, 0.7, dtype=lab.dtype))
    torch.testing.assert_close(ab, lab[:, 1:])
    torch.testing.assert_close(similarity, torch.full_like(similarity, 0.7))
    torch.testing.assert_close(difference, torch.zeros_like(difference))


def test_luminance_decides_between_equal_matches_pixel_by_pixel() -> None:
    lab = torch.zeros(1, 3, 8, 16, dtype=torch.float64)
    lab[..., :8] = torch.tensor([20.0, 30.0, -10.0]).view(1, 3, 1, 1)
    lab[..., 8:] = torch.tensor([80.0, -40.0, 5.0]).view(1, 3, 1, 1)
    luma = torch.full((1, 1, 8, 16), 20.0, dtype=torch.float64)
    luma[..., 6:] = 80.0  # an edge that the grid of four pixels does not know
    place = torch.tensor([0, 3]).expand(1, 8, 2)
    ab, _, difference = voted(luma, lab, place, torch.ones(1, 8, 2, dtype=torch.float64))
    far = torch.ones(16, dtype=torch.bool)
    far[5:7] = False  # three by three pixels see both sides
    torch.testing.assert_close(ab[0, 0, :, far], lab[0, 1, 0, [0] * 5 + [8] * 9].expand(8, -1))
    assert difference[..., far].abs().max() < 1e-6


def test_where_no_match_agrees_the_most_similar_still_votes() -> None:
    lab = colours(1, 3, 4, 4)
    lab[:, :1] = 100.0
    ab, similarity, difference = voted(
        torch.zeros(1, 1, 4, 4, dtype=torch.float64),
        lab,
        torch.zeros(1, 1, 1, dtype=torch.int64),
        torch.full((1, 1, 1), 0.2, dtype=torch.float64),
    )
    torch.testing.assert_close(ab, lab[:, 1:])
    torch.testing.assert_close(similarity, torch.full_like(similarity, 0.2))
    torch.testing.assert_close(difference, torch.full_like(difference, 100.0))


@pytest.mark.parametrize("stride", [2, 4])
def test_patches_are_what_they_cover(stride: int) -> None:
    image = colours(1, 2, 3 * stride, 2 * stride)
    found = ops.extract_patches(image, stride)
    assert found.shape == (1, 2 * 4 * stride**2, 3, 2)
    half = stride // 2
    whole = F.pad(image, (half,) * 4, mode="replicate")
    pixels = found[0, :, 1, 1].view(2, 2, 2, stride, stride).transpose(2, 3).reshape(2, 2 * stride, 2 * stride)
    assert torch.equal(pixels, whole[0, :, stride : 3 * stride, stride : 3 * stride])

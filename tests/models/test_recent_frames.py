"""Frames coloured before: held once, encoded once."""

import io

import pytest
import torch

from flowchroma import ops
from flowchroma.models import SwinTExCoSmall
from flowchroma.models.state import RecentFrames, ReferenceMemory
from flowchroma.models.swintexco.tokens import from_cells, to_cells

from .test_networks import lab


def memory(positions: int, patches: bool = True) -> ReferenceMemory:
    image = torch.zeros(positions, dtype=torch.int64)
    keys, colours = torch.randn(1, positions, 6), torch.randn(1, positions, 3)
    return ReferenceMemory(keys, colours, image, torch.randn(1, positions, 12) if patches else None, keys[:, ::4])


def same(first: ReferenceMemory, second: ReferenceMemory) -> bool:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return all(a is b if a is None else torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("patches", [True, False])
def test_they_are_what_was_kept_and_share_the_memory_of_all(patches: bool) -> None:
    kept = [memory(8, patches), memory(12, patches), memory(4, patches)]
    recent = RecentFrames(kept)
    assert recent.joined is not None
    assert same(recent.joined, ReferenceMemory.join(kept))
    assert all(same(a, b) for a, b in zip(recent, kept, strict=True))
    assert {frame.keys.untyped_storage().data_ptr() for frame in recent} == {
        recent.joined.keys.untyped_storage().data_ptr()
    }


def test_saved_they_hold_no_frame_twice() -> None:
    recent = RecentFrames([memory(400), memory(400)])
    torch.save(recent, file := io.BytesIO())
    assert file.tell() < 1.2 * sum(x.nbytes for frame in recent for x in vars(frame).values())
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert all(same(a, b) for a, b in zip(again, recent, strict=True))
    assert same(again.joined, recent.joined)
    assert RecentFrames() == ()
    assert RecentFrames().joined is None


@torch.no_grad()
def test_a_frame_that_was_matched_is_remembered_as_one_that_is_encoded(matcher: SwinTExCoSmall) -> None:
    frame, reference = lab(1, 3, 40, 72), lab(1, 1, 3, 48, 64)
    (match,) = matcher.match(frame[:, :1], (matcher.encode_references(reference),))
    assert same(matcher.encode_references(frame[:, None], match.features), matcher.encode_references(frame[:, None]))


@torch.no_grad()
def test_keys_of_cells_that_are_kept_are_those_that_matching_computes(matcher: SwinTExCoSmall) -> None:
    kept = matcher.encode_references(lab(1, 2, 3, 48, 64))
    assert torch.equal(kept.cells, ops.cell_keys(kept.keys))
    queries = torch.nn.functional.normalize(torch.randn(1, 16, kept.keys.shape[2]), dim=2)
    found, given = (
        ops.match_coarse_to_fine(queries, kept.keys, kept.lab, 0.1, 3, 4, coarse=cells) for cells in (None, kept.cells)
    )
    assert all(torch.equal(a, b) for a, b in zip(found, given, strict=True))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_cells_are_squares_of_two_by_two(layout: torch.memory_format) -> None:
    grid = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6).contiguous(memory_format=layout)
    found = to_cells(grid)
    for cell, (row, column) in {0: (0, 0), 1: (0, 2), 3: (2, 0), 5: (2, 4)}.items():
        square = grid[1, :, row : row + 2, column : column + 2].flatten(1).T
        assert torch.equal(found[1, 4 * cell : 4 * cell + 4], square)
    assert torch.equal(from_cells(found, (4, 6)), grid)

"""A system made ready to colour: faster, with the same weights and the same frames."""

import numpy as np
import pytest
import torch
from torch import Tensor

from flowchroma.app.systems import load_system
from flowchroma.colorizers import Painter
from flowchroma.data import SampleFilm
from flowchroma.models import FlowChroma
from flowchroma.models.ready import ready_to_colour

FRAMES = 4


@pytest.fixture(scope="module")
def rgb() -> Tensor:
    return torch.from_numpy(np.stack(SampleFilm(3, FRAMES, (48, 64), "val").read(range(FRAMES)))).movedim(-1, 1)


def system() -> FlowChroma:
    loaded = load_system()
    loaded.every = 2  # so that kept frames are read
    return loaded


@torch.inference_mode()
def coloured(system: FlowChroma, rgb: Tensor) -> Tensor:
    painter = Painter(system, 240)
    painter.start(rgb[:1])
    painter.observe(rgb[:1])
    return torch.cat([painter.paint(frame[None]) for frame in rgb[1:]]).int()


def test_its_frames_are_those_of_the_system_and_so_are_its_weights(rgb: Tensor) -> None:
    plain, ready = system(), ready_to_colour(system())
    assert (coloured(ready, rgb) - coloured(plain, rgb)).abs().max() <= 1
    before, after = plain.state_dict(), ready.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(before[name].shape == after[name].shape for name in before)
    load_system().load_state_dict(after)


def test_in_half_precision_frames_differ_by_less_than_is_seen_and_not_from_run_to_run(rgb: Tensor) -> None:
    plain = coloured(system(), rgb)
    first, second = (coloured(ready_to_colour(system(), half=True), rgb) for _ in range(2))
    assert torch.equal(first, second)
    assert 0 < (first - plain).abs().float().mean() < 0.3


@pytest.mark.parametrize("half", [False, True])
def test_going_on_from_a_state_that_was_saved_gives_the_same_bits(rgb: Tensor, half: bool, tmp_path) -> None:
    whole = coloured(ready_to_colour(system(), half), rgb)
    painter = Painter(ready_to_colour(system(), half), 240)
    with torch.inference_mode():
        painter.start(rgb[:1])
        painter.observe(rgb[:1])
        for frame in rgb[1:2]:
            painter.paint(frame[None])
        torch.save(painter._state, tmp_path / "state.pt")
        again = Painter(ready_to_colour(system(), half), 240)
        again._state = torch.load(tmp_path / "state.pt", weights_only=False)
        rest = torch.cat([again.paint(frame[None]) for frame in rgb[2:]])
    assert torch.equal(rest.int(), whole[1:])


def test_what_nothing_reads_is_not_computed_and_its_votes_stand_for_it(rgb: Tensor) -> None:
    plain, ready = system(), ready_to_colour(system())
    refined: list[FlowChroma] = []
    for made in (plain, ready):
        made.matcher.refine.register_forward_hook(lambda *_, at=made: refined.append(at))
        coloured(made, rgb[:3])
    assert refined == [plain] * 2
    luma, reference = 100 * torch.rand(1, 1, 32, 48), 100 * torch.rand(1, 1, 3, 32, 48)
    with torch.inference_mode():
        (match,) = ready.matcher.match(luma, (ready.start(reference).references,))
        assert torch.equal(match.ab, match.finest.ab)
        alone = ready.matcher(luma, ready.start(reference).references)
    assert alone.voted is None
    assert not torch.equal(alone.ab, match.ab)

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from flowchroma.color import rgb_to_lab
from flowchroma.colorizers import ChainedDis, Gray, Hold, MatchingAlone, Oracle, Painter, PropagationAlone
from flowchroma.colorizers.painter import enlarge, shrink
from flowchroma.ops import backward_warp, dis_flow
from flowchroma.types import Flow, Match


def texture(height=60, width=80, shift=0, seed=0):
    """Coloured, smooth, (1, 3, H, W) uint8."""
    torch.manual_seed(seed)
    coarse = torch.rand(1, 3, height // 6, (width + 40) // 6)
    big = torch.nn.functional.interpolate(coarse, (height, width + 40), mode="bicubic").clamp(0, 1)
    return (big[..., shift : shift + width] * 255).to(torch.uint8)


class Spy:
    """Writes down what it is shown, and answers with one colour."""

    def __init__(self):
        self.seen = []

    def start(self, references):
        self.seen.append(("start", references))
        return 0

    def observe(self, luma, ab, state):
        self.seen.append(("observe", luma, ab))
        return state + 1

    def step(self, luma, state):
        self.seen.append(("step", luma))
        return torch.full((1, 2, *luma.shape[-2:]), 10.0 * state), state + 1


def test_of_a_frame_to_paint_the_colorizer_sees_the_luminance_alone():
    spy = Spy()
    painter = Painter(spy, 60)
    painter.start(texture())
    painter.observe(texture())
    painted = painter.paint(texture(shift=3))
    (_, reference), (_, luma, ab), (_, shown) = spy.seen
    assert reference.shape == (1, 1, 3, 60, 80)
    assert torch.equal(torch.cat((luma, ab), 1), rgb_to_lab(texture()))
    assert torch.equal(shown, rgb_to_lab(texture(shift=3))[:, :1])
    assert painted.dtype == torch.uint8


def test_colour_is_computed_small_and_luminance_kept_whole():
    spy = Spy()
    painter = Painter(spy, 20)
    painter.start(texture())
    painted = painter.paint(texture(shift=3))
    assert spy.seen[1][1].shape == (1, 1, 20, 27)
    assert painted.shape == (1, 3, 60, 80)
    before, after = (rgb_to_lab(rgb)[:, 0] for rgb in (texture(shift=3), painted))
    assert (before - after).abs().mean() < 0.3  # rounding to 8 bit alone


def test_the_oracle_loses_only_what_resizing_loses():
    rgb = texture()
    oracle = Oracle(60)
    assert (oracle.paint(rgb).int() - rgb.int()).abs().max() <= 1
    small = Oracle(20).paint(rgb).float()
    assert (
        0 < (small - rgb.float()).square().mean() < (Painter(Gray(), 60).paint(rgb) - rgb.float()).square().mean() / 4
    )


def test_shrinking_gives_back_what_was_enlarged():
    small = torch.rand(1, 2, 15, 20)
    large = enlarge(small, (60, 80))
    bilinear = torch.nn.functional.interpolate(small, (60, 80), mode="bilinear")
    errors = [(shrink(x, 15) - small).abs().mean() for x in (large, bilinear)]
    assert errors[0] < errors[1] / 2  # noise, the hardest case
    assert enlarge(small, (15, 20)) is small
    flat = torch.full((1, 2, 7, 9), 3.0)
    torch.testing.assert_close(enlarge(flat, (31, 40)), torch.full((1, 2, 31, 40), 3.0))


@pytest.mark.parametrize(("small", "large"), [((15, 20), (60, 80)), ((37, 53), (61, 90)), ((24, 42), (108, 192))])
def test_enlarging_corrects_twice_what_shrinking_misses(small, large):
    torch.manual_seed(1)
    image = torch.randn(2, 2, *small) * 30
    expected = F.interpolate(image, large, mode="bicubic")
    for _ in range(2):
        missed = image - F.interpolate(expected, small, mode="bilinear", antialias=True)
        expected += F.interpolate(missed, large, mode="bicubic")
    torch.testing.assert_close(enlarge(image, large), expected, rtol=0, atol=0.005)
    with torch.inference_mode():  # what one call keeps for the next may be used with gradients later
        enlarge(image, (large[0] + 1, large[1]))
    image.requires_grad_()
    again = enlarge(image, (large[0] + 1, large[1]))
    torch.autograd.grad(again.sum(), image)
    torch.testing.assert_close(again.detach(), enlarge(image.detach(), (large[0] + 1, large[1])), rtol=0, atol=0.005)


def test_gray_has_no_colour_and_hold_the_last_one():
    luma, ab = torch.rand(1, 1, 6, 8) * 100, torch.randn(1, 2, 6, 8)
    assert Gray().step(luma, None)[0].abs().max() == 0
    hold = Hold()
    assert torch.equal(hold.step(luma, hold.observe(luma, ab, hold.start(ab)))[0], ab)
    assert hold.step(luma, None)[0].abs().max() == 0


def test_dis_carries_the_colour_it_gave_last():
    frames = [rgb_to_lab(texture(shift=s)) for s in (0, 2, 4)]
    dis = ChainedDis()
    state = dis.observe(frames[0][:, :1], frames[0][:, 1:], dis.start(frames[0][:, None]))
    carried = frames[0][:, 1:]
    for before, now in pairwise(frames):
        ab, state = dis.step(now[:, :1], state)
        carried = backward_warp(carried, dis_flow(now[:, :1], before[:, :1]))
        torch.testing.assert_close(ab, carried)
    wrong = (frames[0][:, 1:] - frames[2][:, 1:]).abs().mean()
    assert (ab - frames[2][:, 1:]).abs().mean() < wrong / 3


class ShiftFlow(torch.nn.Module):
    """Everything came from a pixel further right."""

    def step(self, luma, state):
        flow = torch.zeros(1, 2, *luma.shape[-2:])
        flow[:, 0] = 1
        return (None if state is None else Flow(flow, luma * 0 + 1)), "kept"


def test_propagation_alone_warps_along_the_networks_flow():
    alone = PropagationAlone(ShiftFlow())
    luma, ab = torch.zeros(1, 1, 4, 6), torch.arange(6.0).expand(1, 2, 4, 6)
    gray, state = alone.step(luma, alone.start(ab))
    assert gray.abs().max() == 0, "nothing was known"
    state = alone.observe(luma, ab, state)
    once, state = alone.step(luma, state)
    twice, _ = alone.step(luma, state)
    assert once[0, 0, 0].tolist() == [1, 2, 3, 4, 5, 5]
    assert twice[0, 0, 0].tolist() == pytest.approx([2, 3, 4, 5, 5, 5])


def test_matching_alone_colours_from_the_references():
    class Matcher(torch.nn.Module):
        def encode_references(self, references):
            return references.mean()

        def forward(self, luma, memory, last):
            return Match(luma.expand(-1, 2, -1, -1) + memory, luma, luma, luma)

    alone = MatchingAlone(Matcher())
    state = alone.start(torch.full((1, 1, 3, 4, 4), 7.0))
    luma = torch.rand(1, 1, 4, 4)
    assert torch.equal(alone.step(luma, alone.observe(luma, luma, state))[0], luma.expand(-1, 2, -1, -1) + 7)

from dataclasses import replace

import pytest
import torch

from flowchroma.losses import EstimatedMotion, ExactMotion, FlowColor, FlowEndPoint, Prediction, PreviousFrame

from .conftest import changed


def moving(smooth):
    """Two items: the first with exact motion, the second without."""
    scene = smooth(2, 2, 40, 48)
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(2, 2, 24, 32).contiguous()
    now, before = scene[:, :, 6:30, 7:39], scene[:, :, 8:32, 4:36]
    visible = torch.zeros(2, 1, 24, 32)
    visible[0, :, 2:, :29] = 1
    unknown = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    return Prediction(
        ab=now,
        luma=smooth(2, 1, 24, 32, 50),
        target_ab=now,
        previous=PreviousFrame(smooth(2, 1, 24, 32, 50), before),
        estimate=EstimatedMotion(flow),
        exact=ExactMotion(flow * unknown, visible, torch.tensor([True, False])),
    )


def test_end_point_in_pixels_where_flow_is_exact(smooth):
    p = moving(smooth)
    assert FlowEndPoint()(p).item() == 0
    off = p.estimate.flow.clone()
    off[0, 0] += 2
    off[1] += 1000  # unknown, so not judged
    assert FlowEndPoint()(changed(p, estimate={"flow": off})).item() == pytest.approx(1.0)
    none = changed(p, estimate={"flow": off}, exact={"known": torch.tensor([False, False])})
    assert FlowEndPoint()(none).item() == 0
    assert FlowEndPoint()(replace(p, exact=None)).item() == 0


def test_iterations_are_discounted_and_normalised(smooth):
    p = moving(smooth)
    iterates = [p.estimate.flow + shift for shift in (4.0, 2.0, 1.0)]
    value = FlowEndPoint(gamma=0.5)(changed(p, estimate={"iterates": iterates})).item()
    assert value == pytest.approx((0.25 * 4 + 0.5 * 2 + 1 * 1) / 1.75, rel=1e-5)


def test_true_flow_carries_the_true_colour(smooth):
    p = moving(smooth)
    assert FlowColor()(p).item() == pytest.approx(0, abs=1e-3)
    for item in range(2):  # with exact motion and without
        wrong = p.estimate.flow.clone()
        wrong[item] = 0
        assert FlowColor()(changed(p, estimate={"flow": wrong})).item() > 0.02


def test_colour_by_hand(smooth):
    # Frame t is 11 units off everywhere: 0.1 where motion is exact, (0.11^0.4 - 0.01^0.4) where it is not.
    flat = torch.zeros(2, 2, 24, 32)
    p = changed(
        moving(smooth),
        target_ab=flat + 11,
        previous={"target_ab": flat},
        estimate={"flow": torch.zeros(2, 2, 24, 32)},
    )
    exact, rest = p.exact.visible[0].sum().item(), 24 * 32
    expected = (0.1 * exact + (0.11**0.4 - 0.01**0.4) * rest) / (exact + rest)
    assert FlowColor()(p).item() == pytest.approx(expected, rel=1e-4)


def test_occlusion_hides_exact_items_only(smooth):
    p = moving(smooth)
    target = p.target_ab.clone()
    target[:, :, :2] += 50  # rows that the exact mask says were not visible
    everywhere = {"known": torch.tensor([True, True]), "visible": p.exact.visible[:1].expand(2, -1, -1, -1)}
    first = changed(p, target_ab=target, exact=everywhere)
    assert FlowColor()(first).item() == pytest.approx(0, abs=1e-3)


def test_colour_gradient_descends_to_the_flow(smooth):
    p = changed(moving(smooth), exact={"known": torch.tensor([False, False])})
    shift = torch.tensor([2.0, -1.2]).view(1, 2, 1, 1).requires_grad_()
    optimizer = torch.optim.Adam([shift], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        FlowColor()(changed(p, estimate={"flow": shift.expand(2, 2, 24, 32)})).backward()
        optimizer.step()
    torch.testing.assert_close(shift.detach().flatten(), torch.tensor([3.0, -2.0]), rtol=0, atol=0.1)


def test_float32_under_autocast(smooth):
    p = moving(smooth)
    p = changed(p, estimate={"iterates": [p.estimate.flow.bfloat16() + shift for shift in (1, 0.5)]})
    for loss in (FlowColor(), FlowEndPoint()):
        with torch.autocast("cpu", torch.bfloat16):
            under = loss(p)
        assert under.dtype == torch.float32
        torch.testing.assert_close(under, loss(p), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("loss", "missing"), [(FlowColor(), "previous"), (FlowEndPoint(), "estimate")])
def test_missing_input_is_named(smooth, loss, missing):
    with pytest.raises(ValueError, match=missing):
        loss(replace(moving(smooth), **{missing: None}))

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.losses import EstimatedMotion, ExactMotion, Prediction, PreviousFrame, Temporal
from flowchroma.losses.masking import photometric_weight

from .conftest import changed


@pytest.fixture
def translating(smooth):
    """A scene that moves by (3, -2) pixels: frame t at p shows what frame t - 1 showed at p + flow."""
    scene = torch.cat((smooth(1, 1, 40, 48, 50, 40), smooth(1, 2, 40, 48)), dim=1)
    now, before = scene[:, :, 6:30, 7:39], scene[:, :, 8:32, 4:36]
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 24, 32)
    return Prediction(
        ab=now[:, 1:],
        luma=now[:, :1],
        target_ab=now[:, 1:],
        previous=PreviousFrame(before[:, :1], before[:, 1:], before[:, 1:]),
        estimate=EstimatedMotion(flow),
    )


def test_zero_along_the_true_flow_only(translating):
    loss = Temporal()
    assert loss(translating).item() == pytest.approx(0, abs=1e-5)
    flow = translating.estimate.flow
    still = replace(translating, estimate=EstimatedMotion(torch.zeros_like(flow)))
    assert loss(still).item() > 0.01
    backwards = replace(translating, estimate=EstimatedMotion(-flow))
    assert loss(backwards).item() > loss(still).item() / 2


def test_flicker_costs_its_size(translating):
    assert Temporal()(replace(translating, ab=translating.ab + 22)).item() == pytest.approx(0.2, rel=1e-3)


def test_occluded_pixels_are_not_judged(translating):
    visible = torch.zeros(1, 1, 24, 32)
    visible[:, :, 2:, 10:29] = 1  # without what the motion takes out of the frame
    ab = translating.ab.clone()
    ab[..., :10] += 60
    flow = translating.estimate.flow
    p = replace(
        translating,
        ab=ab,
        estimate=EstimatedMotion(torch.zeros_like(flow)),  # exact motion is preferred to the estimate
        exact=ExactMotion(flow, visible, torch.tensor([True])),
    )
    assert Temporal()(p).item() == pytest.approx(0, abs=1e-5)
    assert Temporal()(changed(p, exact={"known": torch.tensor([False])})).item() > 0.01
    assert Temporal()(replace(p, estimate=None)).item() == pytest.approx(0, abs=1e-5)


def test_items_with_and_without_exact_motion_in_one_batch(translating):
    def twice(of) -> dict[str, torch.Tensor]:
        values = {f.name: getattr(of, f.name) for f in fields(of)}
        return {name: torch.cat([value, value]) for name, value in values.items() if isinstance(value, torch.Tensor)}

    flow = translating.estimate.flow
    wrong = torch.full_like(flow, 50.0)
    visible = torch.zeros(2, 1, 24, 32)
    visible[0, :, 2:, :29] = 1
    p = Prediction(
        **twice(translating),
        previous=PreviousFrame(**twice(translating.previous)),
        estimate=EstimatedMotion(torch.cat([wrong, flow])),
        exact=ExactMotion(torch.cat([flow, wrong]), visible, torch.tensor([True, False])),
    )
    assert Temporal()(p).item() == pytest.approx(0, abs=1e-5)
    assert Temporal()(replace(p, ab=p.ab + 11)).item() == pytest.approx(0.1, rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(difference=st.floats(-100, 100), alpha=st.floats(1, 100))
def test_photometric_weight_is_the_papers(difference, alpha):
    luma = torch.full((1, 1, 3, 3), 50.0)
    weight = photometric_weight(luma + difference, luma, torch.zeros(1, 2, 3, 3), alpha)
    expected = torch.exp(torch.tensor(-alpha * (difference / 100) ** 2)).expand_as(weight)
    torch.testing.assert_close(weight, expected, rtol=1e-4, atol=1e-6)


def test_outside_the_frame_weighs_nothing():
    luma = torch.full((1, 1, 4, 6), 50.0)
    flow = torch.zeros(1, 2, 4, 6)
    flow[:, 0] = 2
    weight = photometric_weight(luma, luma, flow, 50.0)
    assert weight[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 0]


def test_first_frame_costs_nothing(frame):
    assert Temporal()(frame()).item() == 0


def test_gradient_reaches_both_outputs_but_not_the_flow(translating):
    p = changed(
        translating,
        ab=(translating.ab + 5).requires_grad_(),
        previous={"ab": translating.previous.ab.clone().requires_grad_()},
        estimate={"flow": translating.estimate.flow.clone().requires_grad_()},
    )
    Temporal()(p).backward()
    assert p.ab.grad.abs().sum() > 0
    assert p.previous.ab.grad.abs().sum() > 0
    assert p.estimate.flow.grad is None


def test_nothing_to_warp_along(translating):
    with pytest.raises(ValueError, match="flow"):
        Temporal()(replace(translating, estimate=None))

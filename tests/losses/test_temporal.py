import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.losses import Prediction, Temporal
from flowchroma.losses.masking import photometric_weight


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
        previous_ab=before[:, 1:],
        previous_luma=before[:, :1],
        flow=flow,
    )


def test_zero_along_the_true_flow_only(translating):
    loss = Temporal()
    assert loss(translating).item() == pytest.approx(0, abs=1e-5)
    still = dataclasses.replace(translating, flow=torch.zeros_like(translating.flow))
    assert loss(still).item() > 0.01
    backwards = dataclasses.replace(translating, flow=-translating.flow)
    assert loss(backwards).item() > loss(still).item() / 2


def test_flicker_costs_its_size(translating):
    assert Temporal()(dataclasses.replace(translating, ab=translating.ab + 22)).item() == pytest.approx(0.2, rel=1e-3)


def test_occluded_pixels_are_not_judged(translating):
    visible = torch.ones(1, 1, 24, 32)
    visible[..., :10] = 0
    ab = translating.ab.clone()
    ab[..., :10] += 60
    p = dataclasses.replace(
        translating,
        ab=ab,
        true_flow=translating.flow,
        flow=torch.zeros_like(translating.flow),  # exact motion wins over the estimate
        visible=visible * (translating.visible if translating.visible is not None else 1),
        has_flow=torch.tensor([True]),
    )
    # Places that the motion takes out of the frame are not visible either, in an exact mask.
    p.visible[..., 29:] = 0
    p.visible[:, :, :2] = 0
    assert Temporal()(p).item() == pytest.approx(0, abs=1e-5)
    assert Temporal()(dataclasses.replace(p, has_flow=torch.tensor([False]))).item() > 0.01
    assert Temporal()(dataclasses.replace(p, flow=None, previous_luma=None)).item() == pytest.approx(0, abs=1e-5)


def test_items_with_and_without_exact_motion_in_one_batch(translating):
    both = {
        f.name: torch.cat([value, value])
        for f in dataclasses.fields(translating)
        if isinstance(value := getattr(translating, f.name), torch.Tensor)
    }
    wrong = torch.full_like(translating.flow, 50.0)
    visible = torch.zeros(2, 1, 24, 32)
    visible[0, :, 2:, :29] = 1
    p = Prediction(
        **both
        | {
            "flow": torch.cat([wrong, translating.flow]),
            "true_flow": torch.cat([translating.flow, wrong]),
            "visible": visible,
            "has_flow": torch.tensor([True, False]),
        }
    )
    assert Temporal()(p).item() == pytest.approx(0, abs=1e-5)
    assert Temporal()(dataclasses.replace(p, ab=p.ab + 11)).item() == pytest.approx(0.1, rel=1e-3)


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
    p = dataclasses.replace(
        translating,
        ab=(translating.ab + 5).requires_grad_(),
        previous_ab=translating.previous_ab.clone().requires_grad_(),
        flow=translating.flow.clone().requires_grad_(),
    )
    Temporal()(p).backward()
    assert p.ab.grad.abs().sum() > 0
    assert p.previous_ab.grad.abs().sum() > 0
    assert p.flow.grad is None


def test_nothing_to_warp_along(translating):
    with pytest.raises(ValueError, match="flow"):
        Temporal()(dataclasses.replace(translating, flow=None))

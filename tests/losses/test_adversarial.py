import pytest
import torch

from flowchroma.losses import discriminator_loss, generator_loss


def test_closed_forms():
    real, made = torch.tensor([2.0, 4.0]), torch.tensor([1.0, -1.0, 0.0])
    # Means 3 and 0. Discriminator: real - 0 - 1 = 1, 3; made - 3 + 1 = -1, -3, -2.
    assert discriminator_loss(real, made).item() == pytest.approx(((1 + 9) / 2 + (1 + 9 + 4) / 3) / 2)
    # Generator: made - 3 - 1 = -3, -5, -4; real - 0 + 1 = 3, 5.
    assert generator_loss(real, made).item() == pytest.approx(((9 + 25 + 16) / 3 + (9 + 25) / 2) / 2)


def test_the_game_is_over_where_one_side_leads_by_one():
    behind, ahead = torch.zeros(3), torch.ones(3)
    assert discriminator_loss(ahead, behind) == 0
    assert generator_loss(behind, ahead) == 0
    assert discriminator_loss(behind, behind) == generator_loss(behind, behind) == 1
    assert discriminator_loss(ahead + 5, behind + 5) == 0  # only the difference counts


def test_gradients_pull_apart_and_together():
    real, made = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    up, down = torch.autograd.grad(discriminator_loss(real, made), (real, made))
    assert (up < 0).all()  # the real is to be raised
    assert (down > 0).all()
    (toward,) = torch.autograd.grad(generator_loss(real, made), made)
    assert (toward < 0).all()


def test_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert discriminator_loss(torch.ones(2).bfloat16(), torch.zeros(2).bfloat16()).dtype == torch.float32

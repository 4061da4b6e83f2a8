import torch

from flowchroma.ops import backward_warp


def test_a_flow_that_is_not_a_number_is_seen_and_its_gradient_survived() -> None:
    """Training has to come to the check that skips such a step."""
    image, flow = torch.rand(1, 2, 9, 9, requires_grad=True), torch.zeros(1, 2, 9, 9)
    flow[0, 1, 4, 5] = torch.nan
    flow.requires_grad_()
    carried = backward_warp(image, flow)
    assert carried.isnan().sum() == 2
    assert carried[0, :, 4, 5].isnan().all()
    carried.sum().backward()
    assert image.grad is not None
    torch.testing.assert_close(image.grad.sum(), torch.tensor(2.0 * 80))

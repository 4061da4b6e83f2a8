import torch

from flowchroma import ops
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


def test_carrying_sharply_is_exact_for_quadratic_functions():
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (12, 16)), indexing="ij")
    flow = torch.rand(1, 2, 12, 16, dtype=torch.float64) * 4 - 2

    def surface(x, y):
        return (0.3 * x * x - 0.2 * y * y + 2 * x - y + 5)[None, None]

    there = surface(x + flow[0, 0], y + flow[0, 1])
    inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    sharp, linear = (ops.sharp_backward_warp(surface(x, y), flow, sharpness)[inner] for sharpness in (1, 0))
    torch.testing.assert_close(sharp, there[inner])
    torch.testing.assert_close(linear, ops.backward_warp(surface(x, y), flow)[inner])
    assert (linear - there[inner]).abs().mean() > 0.02


def test_carrying_by_whole_pixels_changes_no_value_however_often():
    image = torch.rand(1, 2, 9, 11)
    carried = image
    for _ in range(5):
        carried = ops.sharp_backward_warp(carried, torch.zeros(1, 2, 9, 11), 1.0)
    torch.testing.assert_close(carried, image)


def test_at_the_border_and_beyond_nothing_is_made_up():
    ramp = torch.arange(8.0).expand(1, 1, 5, 8)
    for x in (0.5, -0.5, 3.5):
        flow = torch.tensor([x, 0.3]).view(1, 2, 1, 1).expand(-1, -1, 5, 8)
        torch.testing.assert_close(ops.sharp_backward_warp(ramp, flow, 0.8), ops.backward_warp(ramp, flow))
    tiny = torch.rand(1, 2, 2, 1)
    flow = torch.full((1, 2, 2, 1), 0.4)
    torch.testing.assert_close(ops.sharp_backward_warp(tiny, flow, 1.0), ops.backward_warp(tiny, flow))


def test_a_flow_on_another_grid_points_to_the_same_places():
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    flow = torch.stack([0.25 * x, -0.5 * y])[None]
    smaller = ops.rescale_flow(flow, (6, 8))
    torch.testing.assert_close(smaller[0, :, 2, 3], torch.tensor([0.25 * 6.5 / 2, -0.5 * 4.5 / 2]))
    larger = ops.rescale_flow(smaller, (12, 16))
    torch.testing.assert_close(larger[..., 4:-4, 4:-4], flow[..., 4:-4, 4:-4])
    assert ops.rescale_flow(flow, (12, 16)) is flow
    assert ops.rescale_flow(torch.ones(1, 2, 8, 8), (4, 16))[0, :, 0, 0].tolist() == [2.0, 0.5]

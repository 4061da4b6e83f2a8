import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flowchroma.color import rgb_to_lab
from flowchroma.data.made import Layer, PlaneMotion, SampleFilm, Scene, Wave
from flowchroma.data.made.sample import _lit_scene

HEIGHT, WIDTH = 40, 60


def moving(per_frame_x=0.0, per_frame_y=0.0):
    """Constant velocity in pixels of the test scene."""
    return PlaneMotion(x=Wave(rate=per_frame_x / WIDTH), y=Wave(rate=per_frame_y / WIDTH))


def smooth_texture(seed=0):
    noise = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, (80, 120), mode="bicubic", align_corners=True)[0].clamp(0, 1)


def background(motion=None):
    return Layer(smooth_texture(), (1.0, 2 / 3), motion or PlaneMotion())


def square(motion, half_side=8.0):
    """A square of 16 pixels: its distance map in pixels over a texture twice as wide."""
    place = (torch.arange(64) + 0.5) / 64 * 4 * half_side - 2 * half_side
    distance = half_side - torch.maximum(place.abs()[:, None], place.abs()[None, :])
    extent = 2 * half_side / WIDTH
    return Layer(1 - smooth_texture(1), (extent, extent), motion, distance[None])


def warp(image, flow):
    """An independent backward warp: explicit bilinear sampling in NumPy."""
    image, flow = image.double().numpy(), flow.double().numpy()
    height, width = image.shape[-2:]
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = np.clip(x + flow[0], 0, width - 1), np.clip(y + flow[1], 0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = x - left, y - top
    above = image[:, top, left] * (1 - fx) + image[:, top, right] * fx
    below = image[:, bottom, left] * (1 - fx) + image[:, bottom, right] * fx
    return torch.from_numpy(above * (1 - fy) + below * fy)


def test_pan_has_the_closed_form():
    scene = Scene([background()], moving(2.5, -1.25), (HEIGHT, WIDTH))
    flow, visible = scene.flow(4, 3)
    torch.testing.assert_close(flow[0], torch.full((HEIGHT, WIDTH), 2.5), atol=1e-4, rtol=0)
    torch.testing.assert_close(flow[1], torch.full((HEIGHT, WIDTH), -1.25), atol=1e-4, rtol=0)
    inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    inside[2:, : WIDTH - 3] = True  # y - 1.25 >= 0 and x + 2.5 <= 59
    assert torch.equal(visible[0], inside)


def test_turning_camera_has_the_closed_form():
    angle = 0.03
    scene = Scene([background()], PlaneMotion(angle=Wave(rate=angle)), (HEIGHT, WIDTH))
    flow, _ = scene.flow(5, 4)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    x, y = x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2
    past = np.stack((math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y))
    np.testing.assert_allclose(flow.numpy(), past - np.stack((x, y)), atol=1e-4)


def test_object_hides_exactly_what_it_uncovers_next():
    scene = Scene([background(), square(moving(3.0))], PlaneMotion(), (HEIGHT, WIDTH))
    flow, visible = scene.flow(1, 0)
    x = torch.arange(WIDTH) - (WIDTH - 1) / 2
    y = torch.arange(HEIGHT) - (HEIGHT - 1) / 2
    now = (y.abs() < 8)[:, None] & ((x - 3).abs() < 8)
    before = (y.abs() < 8)[:, None] & (x.abs() < 8)
    torch.testing.assert_close(flow[0], torch.where(now, -3.0, 0.0), atol=1e-4, rtol=0)
    assert torch.equal(visible[0], ~(before & ~now))
    assert int((~visible).sum()) == 3 * 16


def test_visible_pixels_keep_their_colour_and_hidden_ones_do_not():
    kept, lost = [], []
    for seed in range(6):
        scene = _lit_scene(SampleFilm(seed, size=(96, 128))).scene
        frames = [rgb_to_lab(scene.render(time)) for time in (10, 11)]
        flow, visible = scene.flow(11, 10)
        error = (warp(frames[0], flow) - frames[1]).norm(dim=0)
        y, x = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
        in_frame = ((x + flow[0]) > 1) & ((x + flow[0]) < 126) & ((y + flow[1]) > 1) & ((y + flow[1]) < 94)
        # Antialiased outlines mix two layers: keep two pixels off them.
        solid = F.max_pool2d((~visible[0]).float()[None], 5, 1, 2)[0] == 0
        kept.append(error[solid & in_frame])
        lost.append(error[~visible[0] & in_frame])
    kept, lost = torch.cat(kept), torch.cat(lost)
    assert kept.median() < 1.0
    assert kept.quantile(0.95) < 5
    assert len(lost) > 100
    assert lost.median() > 10 * kept.median()


def test_warp_error_vanishes_on_smooth_texture_under_full_motion():
    camera = PlaneMotion(
        Wave(rate=0.02), Wave(rate=-0.01), Wave(rate=0.02), Wave(rate=0.02), Wave(rate=0.01), Wave(0.03)
    )
    scene = Scene([background()], camera, (HEIGHT, WIDTH))
    before, now = scene.render(2), scene.render(3)
    flow, visible = scene.flow(3, 2)
    error = (warp(before, flow) - now).abs().amax(dim=0)[visible[0]]
    assert visible.float().mean() > 0.8
    assert error.max() < 0.02


@pytest.mark.parametrize("size", [(33, 57), (64, 36)])
def test_any_size_and_any_interval(size):
    scene = _lit_scene(SampleFilm(3, size=size)).scene
    flow, visible = scene.flow(9, 5)
    assert scene.render(9).shape == (3, *size)
    assert flow.shape == (2, *size)
    assert visible.shape == (1, *size)
    same, all_seen = scene.flow(9, 9)
    assert same.abs().max() < 1e-3
    assert all_seen.float().mean() > 0.99

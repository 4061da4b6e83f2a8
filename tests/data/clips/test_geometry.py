import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.data.clips.geometry import (
    Crop,
    centre_crop,
    draw_affine,
    draw_crop,
    inside,
    mirror_flow,
    resize,
    resize_flow,
    warp_affine,
)

HEIGHT, WIDTH = 48, 64


def scaled(frames, crop, out, mirrored=False):
    """`resize` of (N, 3, H, W) RGB in [0, 1]."""
    byte = (frames * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    into = np.empty((len(frames), *out, 3), np.uint8)
    resize(list(byte), crop, list(into), mirrored)
    return torch.from_numpy(into).permute(0, 3, 1, 2).float() / 255


def pattern(x, y):
    return torch.stack((torch.sin(x / 9), torch.cos(y / 8), torch.sin((x + y) / 13))) * 0.5 + 0.5


def affine_pair(rows):
    """Two frames of a smooth pattern, and the affine flow that links them in closed form."""
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    flow = torch.stack([a + b * (x - WIDTH / 2) + c * (y - HEIGHT / 2) for a, b, c in rows])
    before, now = pattern(x, y), pattern(x + flow[0], y + flow[1])
    return torch.stack((before, now)), flow[None], inside(flow[None])


def warp(image, flow):
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    grid = torch.stack(((x + flow[0]) * 2 / (width - 1) - 1, (y + flow[1]) * 2 / (height - 1) - 1), dim=-1)
    return F.grid_sample(image[None], grid[None], align_corners=True, padding_mode="border")[0]


shift, slope = st.floats(-5, 5), st.floats(-0.05, 0.05)
row = st.tuples(shift, slope, slope)


@settings(max_examples=60, deadline=None)
@given(st.tuples(row, row), st.integers(0, 10_000), st.integers(24, 80), st.integers(24, 80), st.booleans())
def test_flow_still_warps_after_crop_resize_and_flip(rows, seed, height, width, flip):
    frames, flow, visible = affine_pair(rows)
    crop = draw_crop(np.random.default_rng(seed), (HEIGHT, WIDTH), (height, width), (0.5, 1.0))
    out = (height, width)
    frames, (flow, visible) = scaled(frames, crop, out, flip), resize_flow(flow, visible, crop, out)
    if flip:
        flow, visible = mirror_flow(flow, visible)
    error = (warp(frames[0], flow[0]) - frames[1]).abs().amax(dim=0)
    # Resizing repeats pixels at a border that cuts content: keep off it, in both frames.
    edge = 3
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    seen = visible[0, 0].clone()
    for place_x, place_y in ((x, y), (x + flow[0, 0], y + flow[0, 1])):
        seen &= (place_x >= edge) & (place_x <= width - 1 - edge) & (place_y >= edge) & (place_y <= height - 1 - edge)
    assert bool((error[seen] < 0.03).all())
    assert not (visible & ~inside(flow)).any()


def test_flow_of_a_plain_crop_is_the_same_numbers():
    _, flow, visible = affine_pair(((1.0, 0.02, 0.0), (0.0, 0.0, 0.03)))
    crop = Crop(0.25, 0.125, 0.5, 0.5)
    cut, _ = resize_flow(flow, visible, crop, (24, 32))
    assert torch.equal(cut, flow[..., 12:36, 8:40])


@pytest.mark.parametrize("out", [(96, 128), (30, 41), (48, 99)])
def test_flows_either_side_of_an_edge_never_mix(out):
    flow = torch.zeros(1, 2, HEIGHT, WIDTH)
    flow[:, 0, :, 30:] = -5
    visible = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    resized, _ = resize_flow(flow, visible, Crop(0, 0, 1, 1), out)
    values = resized[:, 0].unique()
    torch.testing.assert_close(values, torch.tensor([-5 * out[1] / WIDTH, 0.0]))


def test_what_leaves_the_crop_is_hidden():
    flow = torch.zeros(1, 2, HEIGHT, WIDTH)
    flow[:, 0] = 4
    _, visible = resize_flow(flow, torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool), Crop(0, 0, 1, 0.5), (48, 32))
    assert visible[..., :28].all()
    assert not visible[..., 28:].any()


@given(st.integers(8, 900), st.integers(8, 900), st.integers(8, 300), st.integers(8, 300), st.integers(0, 999))
def test_crops_lie_in_the_frame_and_keep_the_aspect(height, width, out_height, out_width, seed):
    crop = draw_crop(np.random.default_rng(seed), (height, width), (out_height, out_width), (0.5, 1.0))
    for scale in (1, 2):  # the frame may be read at half size
        size = (-(-height // scale), -(-width // scale))
        top, left, rows, columns = crop.pixels(size)
        assert top >= 0
        assert left >= 0
        assert 1 <= rows <= size[0] - top
        assert 1 <= columns <= size[1] - left
    exact = out_height / out_width
    assert (crop.height * height) / (crop.width * width) == pytest.approx(exact)
    needed = crop.needs((out_height, out_width))
    assert needed[0] * crop.height >= out_height - 1e-6
    assert needed[1] * crop.width >= out_width - 1e-6


def test_centre_crop_is_the_largest_in_the_middle():
    assert centre_crop((240, 426), (224, 224)).pixels((240, 426)) == (0, 93, 240, 240)
    assert centre_crop((426, 240), (224, 224)).pixels((426, 240)) == (93, 0, 240, 240)


def test_shrinking_is_antialiased():
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2] = 1
    small = scaled(stripes, Crop(0, 0, 1, 1), (16, 16))[..., 2:-2]
    assert (small - 0.5).abs().max() < 0.02


@pytest.mark.parametrize("out", [(40, 40), (24, 60), (15, 70), (90, 100)])
def test_frames_are_scaled_as_by_antialiased_bilinear_interpolation(out):
    frames = torch.rand(2, 3, 30, 60)
    byte = (frames * 255).round() / 255
    crop = Crop(0.2, 0.1, 0.8, 0.5)  # 24 x 30 from (6, 6)
    expected = F.interpolate(byte[..., 6:30, 6:36], out, mode="bilinear", antialias=True)
    torch.testing.assert_close(scaled(frames, crop, out), expected, atol=1.6 / 255, rtol=0)


def test_mirrored_frames_are_mirrored():
    frames, crop = torch.rand(2, 3, 30, 60), Crop(0.2, 0.1, 0.8, 0.5)
    for out in ((40, 40), (20, 24), (24, 30)):
        assert torch.equal(scaled(frames, crop, out, mirrored=True), scaled(frames, crop, out).flip(-1))


def test_affine_reference_keeps_the_aspect_and_has_no_black_border():
    image = torch.full((3, 40, 90), 0.7)
    warped = warp_affine(image, draw_affine(np.random.default_rng(0), image.shape[-2:]))
    torch.testing.assert_close(warped, image, atol=1e-4, rtol=0)


def test_affine_reference_is_a_similarity():
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(90.0), indexing="ij")
    for seed in range(10):
        rows = draw_affine(np.random.default_rng(seed), x.shape)
        warped = warp_affine(torch.stack((x, y, x)), rows)[:2, 20:40, 35:55]
        along_x = (warped[..., 1:] - warped[..., :-1])[:, 5, 5]
        along_y = (warped[:, 1:] - warped[:, :-1])[:, 5, 5]
        assert float(along_x @ along_y) == pytest.approx(0, abs=1e-3)
        assert float(along_x.norm()) == pytest.approx(float(along_y.norm()), abs=1e-3)
        assert 0.84 < float(along_x.norm()) < 1.16

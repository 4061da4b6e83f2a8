import cv2
import numpy as np
import pytest
import skimage.data

from flowchroma.errors import UserError
from flowchroma.plans.fitting import fit_keyframe

SIZE = (240, 360)


class MadeFilm:
    """Frames in memory."""

    def __init__(self, frames):
        self.frames, self.name, self.path, self.files, self.size = frames, "made", None, (), frames[0].shape[:2]
        self.asked = []

    def __len__(self):
        return len(self.frames)

    def read(self, indices, at_least=None):
        self.asked += indices
        if any(not 0 <= index < len(self) for index in indices):
            raise UserError(f"made has no frame {indices}")
        return [self.frames[index] for index in indices]


def scene(name="coffee"):
    return cv2.resize(getattr(skimage.data, name)(), SIZE[::-1], interpolation=cv2.INTER_AREA)


def gray(rgb):
    return cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def coloured(rgb, gamma=0.8, gain=0.9, noise=4.0):
    """The picture that an artist makes of a frame: other tones, other weights of the channels, grain, JPEG."""
    mixed = rgb / 255 @ np.array([[0.9, 0.15, 0.0], [0.1, 0.9, 0.05], [0.0, -0.05, 0.95]])
    light = mixed.clip(0, 1) ** gamma * gain + 0.03 + np.random.default_rng(0).normal(0, noise / 255, rgb.shape)
    data = cv2.imencode(".jpg", (light.clip(0, 1) * 255).astype(np.uint8)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)


def seen_through(rgb, matrix, size=SIZE):
    """The picture that lies on a frame by this map from its pixels to the frame's."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(rgb, np.float64(matrix), size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def error(matrix, truth, size=SIZE):
    corners = np.array([[x, y, 1] for x in (0, size[1] - 1) for y in (0, size[0] - 1)]).T
    return np.linalg.norm((matrix - np.float64(truth)) @ corners, axis=0).max()


def about_centre(scale, degrees=0.0):
    return cv2.getRotationMatrix2D(((SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2), degrees, scale)


@pytest.fixture
def film():
    """A still camera before something that moves by 9 pixels a frame."""
    frames, thing = [], scene("chelsea")[60:130, 100:200]
    for number in range(12):
        frames.append(scene())
        frames[-1][20 + 9 * number : 90 + 9 * number, 120:220] = thing
    return MadeFilm([gray(frame) for frame in frames])


@pytest.fixture
def still():
    return MadeFilm([gray(scene())] * 3)


@pytest.mark.parametrize("gamma", [0.8, 1.0, 1.25])
def test_other_tones_are_exact_and_not_resampled(still, gamma):
    picture = coloured(scene(), gamma)
    fit = fit_keyframe(picture, still, 1)
    assert fit.fits
    assert fit.words == ""
    assert fit.valid.mean() > 0.995
    np.testing.assert_array_equal(fit.rgb, picture)
    assert still.asked == [1]  # nothing is searched


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 0, 5], [0, 1, -3]],
        [[1, 0, -1.5], [0, 1, 0.75]],
        [[1, 0, 30], [0, 1, 20]],
        about_centre(0.95),
        about_centre(1.05),
        about_centre(1, 2.5),
        about_centre(1.02, -1),
        [[0.92, 0, 18], [0, 0.95, 6]],  # cropped, and stretched to the frame's size
        [[0.84, 0, 29], [0, 0.84, 19]],
    ],
)
def test_shifts_scales_turns_and_crops_are_recovered_within_half_a_pixel(still, matrix):
    fit = fit_keyframe(coloured(seen_through(scene(), matrix)), still, 1)
    assert fit.fits
    assert error(fit.matrix, matrix) < 0.5
    inside = fit.valid
    assert inside.mean() > 0.7
    difference = fit.rgb.astype(int) - coloured(scene())
    assert np.abs(difference[inside]).mean() < 6


def test_what_was_done_is_said(still):
    words = fit_keyframe(coloured(seen_through(scene(), [[1, 0, 8], [0, 1, 0]])), still, 1).words
    assert words.startswith("is shifted by 8.0, ")
    assert "it is laid on frame 1; it covers 98% of frame 1" in words
    assert "scaled by 0.95" in fit_keyframe(coloured(seen_through(scene(), about_centre(0.95))), still, 1).words


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_another_size_is_resized(still, factor):
    large = cv2.resize(
        skimage.data.coffee(), (int(SIZE[1] * factor), int(SIZE[0] * factor)), None, 0, 0, cv2.INTER_AREA
    )
    fit = fit_keyframe(coloured(large), still, 0)
    assert fit.fits
    assert fit.rgb.shape == (*SIZE, 3)
    assert fit.words == f"is of {large.shape[1]} x {large.shape[0]} pixels: it is laid on frame 0"
    assert np.abs(fit.rgb.astype(int) - coloured(scene())).mean() < 8


def test_another_shape_is_found_where_it_is_a_part_of_the_frame(still):
    fit = fit_keyframe(coloured(scene()[:, 30:330]), still, 0)  # its full height
    assert fit.fits
    assert error(fit.matrix, [[1, 0, 30], [0, 1, 0]], (240, 300)) < 0.5
    assert not fit.valid[:, :28].any()
    assert fit.valid[:, 32:328].mean() > 0.99


def test_a_mirrored_picture_is_turned_over(still):
    fit = fit_keyframe(coloured(scene())[:, ::-1], still, 1)
    assert fit.fits
    assert fit.mirrored
    assert "mirrored" in fit.words
    np.testing.assert_array_equal(fit.rgb, coloured(scene()))


def test_another_frame_is_named_and_does_not_fit(film):
    picture = film.frames[7].copy()
    picture[..., 2] //= 2
    fit = fit_keyframe(picture, film, 4)
    assert not fit.fits
    assert fit.looks_like == 7
    assert "looks like frame 7" in fit.words
    np.testing.assert_array_equal(fit.rgb, picture)
    assert fit_keyframe(picture, film, 7).fits


def test_another_picture_does_not_fit(film):
    fit = fit_keyframe(scene("astronaut"), film, 4)
    assert not fit.fits
    assert fit.looks_like is None
    assert "does not show frame 4" in fit.words


def test_a_retouched_part_is_told_and_the_rest_holds(film):
    picture = film.frames[4].copy()
    picture[180:230, 20:90] = scene("astronaut")[180:230, 20:90]
    fit = fit_keyframe(coloured(picture), film, 4)
    assert fit.fits
    assert 0.5 < fit.differing / (50 * 70 / (240 * 360)) < 2
    assert fit.valid[190:220, 30:80].mean() < 0.5
    assert fit.valid[:160].mean() > 0.99
    assert f"differs from frame 4 in {fit.differing:.1%}" in fit.words


@pytest.mark.parametrize("value", [0, 128])
def test_flat_frames(value):
    flat = MadeFilm([np.full((*SIZE, 3), value, np.uint8)] * 2)
    assert fit_keyframe(np.full((*SIZE, 3), (200, 60, 40), np.uint8), flat, 0).fits
    assert not fit_keyframe(scene(), flat, 0).fits


@pytest.mark.parametrize("size", [(16, 24), (33, 57), (1, 1)])
def test_small_frames(size):
    small = cv2.resize(scene(), size[::-1], interpolation=cv2.INTER_AREA)
    fit = fit_keyframe(small, MadeFilm([gray(small)] * 2), 0)
    assert fit.fits
    assert fit.rgb.shape == (*fit.valid.shape, 3)


def test_a_frame_that_the_film_does_not_have(film):
    with pytest.raises(UserError):
        fit_keyframe(scene(), film, 99)

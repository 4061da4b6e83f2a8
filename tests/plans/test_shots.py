import gc
import io
import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flowchroma.plans import Shot, find_shots, has_own_colour
from flowchroma.plans.transitions import FLASH, THUMBNAIL

SIZE = (90, 160)


def picture(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Gray shapes of several sizes, (h, w) float32 in [20, 235]."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.random((n, 2 * n), dtype=np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
        for n in (4, 9, 20)
    ]
    return cv2.normalize(np.sum(layers, axis=0), None, 20, 235, cv2.NORM_MINMAX)


def take(seed: int, frames: int, speed: float = 1.0) -> np.ndarray:
    """A shot: a wide picture, over which the camera pans, (T, h, w)."""
    wide = picture(seed, (SIZE[0], SIZE[1] + int(speed * frames) + 1))
    return np.stack([wide[:, int(speed * t) : int(speed * t) + SIZE[1]] for t in range(frames)])


def film(*parts: np.ndarray) -> Iterator[np.ndarray]:
    return (np.repeat(frame.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2) for part in parts for frame in part)


def dissolve(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    share = (np.arange(1, len(one) + 1) / (len(one) + 1))[:, None, None]
    return (1 - share) * one + share * other


def bounds(shots: list[Shot]) -> list[tuple[int, int]]:
    return [(shot.start, shot.stop) for shot in shots]


def test_a_splice_is_found_to_the_frame() -> None:
    shots = find_shots(film(take(0, 30), take(1, 17), take(2, 40)))
    assert bounds(shots) == [(0, 30), (30, 47), (47, 87)]
    assert [shot.begins for shot in shots] == ["film", "cut", "cut"]
    assert not any(shot.head or shot.tail for shot in shots)


@pytest.mark.parametrize("span", [2, 4, 8, 12, 16, 24, 36])
def test_a_dissolve_is_divided_near_its_middle(span: int) -> None:
    one, other = take(3, 40 + span, 0.3), take(4, 40 + span, 0.3)
    first, second = find_shots(film(one[:40], dissolve(one[40:], other[:span]), other[span:]))
    assert second.begins == "dissolve"
    assert abs(first.stop - (40 + span / 2)) <= 1 + span / 6
    assert first.tail + second.head <= span + 4
    assert span < 4 or first.tail + second.head >= span / 2
    assert second.stop == 80 + span


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("span", [8, 16, 24])
def test_a_fade_is_divided_where_the_next_shot_appears(level: int, span: int) -> None:
    one, other, share = take(5, 30 + span), take(6, 30 + span), (np.arange(1, span + 1) / span)[:, None, None]
    out, into = (1 - share) * one[30:] + share * level, (1 - share[::-1]) * other[:span] + share[::-1] * level
    flat = np.full((6, *SIZE), level)
    first, second = find_shots(film(one[:30], out, flat, into, other[span:]))
    appears = 30 + span + 6
    assert second.begins == "fade"
    assert appears <= second.start <= appears + 1 + span // 8
    assert first.tail >= 6 + span // 2
    assert second.head >= span // 2


def test_a_film_that_fades_in_and_out_is_one_shot_and_what_is_black() -> None:
    shot, light = take(7, 60), np.interp(np.arange(60), (0, 10, 49, 59), (0, 1, 1, 0))[:, None, None]
    black = np.zeros((10, *SIZE))
    shots = find_shots(film(black, light * shot, black))
    assert len(shots) == 2
    assert 10 <= shots[1].start <= 12
    assert shots[1].stop == 80


@pytest.mark.parametrize("length", [1, 2, FLASH])
@pytest.mark.parametrize("kind", ["flash", "white", "black", "another picture"])
def test_a_flash_or_a_few_damaged_frames_end_no_shot(kind: str, length: int) -> None:
    shot = take(8, 60)
    damaged = {
        "flash": shot[30 : 30 + length] + 60,
        "white": np.full((length, *SIZE), 255),
        "black": np.zeros((length, *SIZE)),
        "another picture": np.stack([picture(90 + n) for n in range(length)]),
    }[kind]
    assert bounds(find_shots(film(shot[:30], damaged, shot[30 + length :]))) == [(0, 60)]


@pytest.mark.parametrize("speed", [0.0, 3.0, 8.0])
def test_a_pan_a_change_of_light_and_grain_end_no_shot(speed: float) -> None:
    random, shot = np.random.default_rng(0), take(9, 70, speed)
    assert len(find_shots(film(shot))) == 1
    assert len(find_shots(film(shot * np.linspace(1, 0.3, 70)[:, None, None]))) == 1
    assert len(find_shots(film(shot + random.normal(0, 8, shot.shape)))) == 1


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 60), max_size=4), st.integers(0, 1000))
def test_shots_hold_every_frame_once_and_splices_are_where_they_are(lengths: list[int], seed: int) -> None:
    shots = find_shots(film(*(take(100 * seed + n, length, 0.5) for n, length in enumerate(lengths))))
    frames = [frame for shot in shots for frame in range(shot.start, shot.stop)]
    assert frames == list(range(sum(lengths)))
    assert all(shot.stop - shot.start > FLASH for shot in shots[1:-1])
    if all(length > FLASH for length in lengths):
        assert [shot.stop for shot in shots] == np.cumsum(lengths).tolist()


def test_progress_counts_every_frame() -> None:
    told: list[int] = []
    find_shots(film(take(0, 130)), told.append)
    assert told == list(range(1, 131))
    assert find_shots(iter(())) == []


def test_frames_and_thumbnails_that_are_behind_are_let_go() -> None:
    frame, frames, most = next(film(take(10, 1))), [], 0

    def watched() -> Iterator[np.ndarray]:
        nonlocal most
        for n in range(400):
            made = frame.copy()
            frames.append(weakref.ref(made))
            yield made
            if n % 100 == 99:
                thumbnails = (x for x in gc.get_objects() if type(x) is torch.Tensor and x.shape[-2:] == THUMBNAIL)
                most = max(most, sum(1 for _ in thumbnails))
                assert sum(ref() is not None for ref in frames) <= 2

    assert len(find_shots(watched())) == 1
    assert 0 < most < 250


def coloured(seed: int, chroma: float = 60) -> np.ndarray:
    """A picture of coloured areas, (h, w, 3) uint8."""
    random = np.random.default_rng(seed)
    tint = cv2.resize(random.normal(0, chroma, (5, 8, 3)).astype(np.float32), SIZE[::-1])
    return (picture(seed)[..., None] + tint).clip(0, 255).astype(np.uint8)


def toned(seed: int, tint: tuple[float, float, float]) -> np.ndarray:
    gray = picture(seed)[..., None] / 255
    return (255 * gray ** np.array(tint, np.float32)).astype(np.uint8)


def noisy(seed: int, amplitude: float, side: int) -> np.ndarray:
    """Gray, 640 x 480, with noise of chroma in squares, as of a tape or a codec."""
    ycc = np.full((480, 640, 3), 128, np.float32)
    ycc[..., 0] = picture(seed, (480, 640))
    coarse = np.random.default_rng(seed).normal(0, amplitude, (480 // side, 640 // side, 2))
    ycc[..., 1:] += np.repeat(np.repeat(coarse, side, 0), side, 1)
    return cv2.cvtColor(ycc.clip(0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB)


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    held = io.BytesIO()
    Image.fromarray(rgb).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


GRAY = {
    "gray": lambda n: np.repeat(picture(n).astype(np.uint8)[..., None], 3, axis=2),
    "sepia": lambda n: toned(n, (0.8, 1.0, 1.3)),
    "blue": lambda n: toned(n, (1.2, 1.0, 0.8)),
    "JPEG": lambda n: jpeg(toned(n, (0.8, 1.0, 1.3)), 30),
    "noise of pixels": lambda n: noisy(n, 8, 1),
    "noise of squares": lambda n: noisy(n, 3, 8),
}
COLOURED = {
    "colour": coloured,
    "muted": lambda n: coloured(n, 12),
    "JPEG": lambda n: jpeg(coloured(n), 30),
}


@pytest.mark.parametrize("kind", GRAY)
def test_gray_tinted_and_noisy_pictures_have_no_colour_of_their_own(kind: str) -> None:
    assert not any(has_own_colour(GRAY[kind](n)) for n in range(8))


@pytest.mark.parametrize("kind", COLOURED)
def test_colour_is_seen_also_where_it_is_muted(kind: str) -> None:
    assert all(has_own_colour(COLOURED[kind](n)) for n in range(8))


def test_shots_with_colour_are_told_from_those_without() -> None:
    kinds = [GRAY["gray"], COLOURED["colour"], GRAY["sepia"], COLOURED["muted"], GRAY["blue"], GRAY["noise of pixels"]]
    frames = [kind(n) for n, kind in enumerate(kinds) for _ in range(12)]
    frames[14], frames[30] = GRAY["gray"](1), coloured(2)  # a few frames do not decide
    shots = find_shots(iter(frames))
    assert bounds(shots) == [(12 * n, 12 * n + 12) for n in range(6)]
    assert [shot.coloured for shot in shots] == [False, True, False, True, False, False]


def test_photographs_keep_their_colour_and_their_gray_copies_have_none(shared) -> None:
    files = sorted((shared / "data" / "photos_free").glob("*.jpg"))
    photographs = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    gray = [jpeg(cv2.cvtColor(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), 60) for p in photographs]
    assert not any(map(has_own_colour, gray))
    assert np.mean([has_own_colour(photograph) for photograph in photographs]) > 0.9

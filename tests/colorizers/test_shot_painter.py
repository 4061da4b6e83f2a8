"""A shot coloured from keyframes on both sides, on films whose truth is known."""

import gc
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers import Painter
from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.data import SampleFilm
from flowchroma.data.made.plane_motion import PlaneMotion, Wave
from flowchroma.data.made.scene import Layer, RenderedFilm, Scene
from flowchroma.models import FlowChroma
from flowchroma.models.state import ReferenceMemory

SIZE = (64, 96)


@pytest.fixture(scope="module")
def system() -> FlowChroma:
    return load_system()


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def texture(seed: int, side: int) -> Tensor:
    """Coloured areas, (3, 4 side, 4 side), whose hue the luminance does not tell."""
    noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, scale_factor=4, mode="bicubic")[0].clamp(0, 1)


@dataclass(frozen=True)
class Entering(RenderedFilm):
    """A disc comes in from the left, and is wholly there in the last frames only."""

    frames: int = 9
    name: str = "entering"

    @cached_property
    def scene(self) -> Scene:
        """See `RenderedFilm`."""
        axis = torch.linspace(-1.5, 1.5, 48)
        shape = (1 - torch.hypot(axis[:, None], axis[None, :]))[None] * 20
        ground = Layer(texture(0, 24), (1.0, 1.0), PlaneMotion(x=Wave(rate=0.01)))
        disc = Layer(texture(1, 8), (0.3, 0.3), PlaneMotion(x=Wave(mean=-0.75, rate=0.06)), shape)
        return Scene([ground, disc], PlaneMotion(), SIZE)


def frames_of(film: RenderedFilm | SampleFilm) -> list[Tensor]:
    return [torch.from_numpy(rgb).permute(2, 0, 1)[None].contiguous() for rgb in film]


@pytest.fixture(scope="module")
def entering() -> list[Tensor]:
    return frames_of(Entering())


@pytest.fixture
def shot(system: FlowChroma, tmp_path: Path) -> Callable[..., ShotPainter]:
    """Make a painter of the shot that frames are, both ways unless `both` says no."""

    def made(frames, keyframes: Mapping[int, Tensor], both=True, references=(), files_in="estimates", **options):
        files = EstimateFiles(tmp_path / files_in) if both else None
        backward_frames = (lambda first, stop: iter(frames[first:stop])) if both else None
        options = {"backward_frames": backward_frames, "system": system, "size": 240, **options}
        return ShotPainter(
            start=0, stop=len(frames), keyframes=keyframes, references=references, files=files, **options
        )

    return made


def painted(painter: ShotPainter, frames: list[Tensor]) -> list[Tensor]:
    return [painter.paint(frame)[0] for frame in frames]


def psnr(made: Tensor, truth: Tensor) -> float:
    return float(10 * torch.log10(255**2 / (made.float() - truth.float()).square().mean()))


@pytest.mark.parametrize("size", [240, 40])
def test_forward_from_the_first_frame_it_is_the_painter_to_the_bit(system, shot, entering, size: int) -> None:
    painter = Painter(system, size)
    painter.start(entering[0])
    painter.observe(entering[0])
    expected = [painter.paint(frame) for frame in entering[1:]]
    for options in ({"both": False}, {"both": True}):  # behind the last keyframe there is no way back
        made = painted(shot(entering, {0: entering[0]}, size=size, **options), entering)
        assert all(torch.equal(a, b) for a, b in zip(made[1:], expected, strict=True))


def test_what_comes_into_view_is_nearer_the_truth_between_two_keyframes(shot, entering) -> None:
    last = len(entering) - 1
    keyframes = {0: entering[0], last: entering[last]}
    quality = {}
    for both in (True, False):
        made = painted(shot(entering, keyframes, both=both), entering)
        quality[both] = [psnr(made[n], entering[n]) for n in range(1, last)]
    first_alone = painted(shot(entering, {0: entering[0]}, both=False), entering)
    alone = [psnr(first_alone[n], entering[n]) for n in range(1, last)]
    assert np.mean(quality[True]) > np.mean(quality[False]) + 2
    assert np.mean(quality[False]) > np.mean(alone), "the last frame is at least a reference"


def test_a_film_played_backward_is_coloured_alike(shot, entering) -> None:
    frames, last = entering[:6], 5
    there = painted(shot(frames, {0: frames[0], last: frames[last]}), frames)
    turned = frames[::-1]
    # A folder of estimates of its own: those of the first film have the same numbers.
    back = painted(shot(turned, {0: turned[0], last: turned[last]}, files_in="turned"), turned)[::-1]
    forward = painted(shot(frames, {0: frames[0], last: frames[last]}, both=False), frames)

    def difference(one: list[Tensor], other: list[Tensor]) -> float:
        return float(np.mean([(a.float() - b.float()).abs().mean() for a, b in zip(one, other, strict=True)]))

    # Only estimates of the way back are rounded, to whole CIELAB units.
    assert difference(there, back) < 0.7
    assert difference(there, forward) > 3 * difference(there, back)


@pytest.mark.parametrize("both", [True, False])
def test_a_keyframe_has_its_own_colour_over_the_luminance_of_the_film(shot, entering, both: bool) -> None:
    frames = entering[:3]
    recoloured = frames[1].flip(1) // 2 + 60  # muted: any luminance has a colour like it
    # Its luminance differs from the film's too, as a painter's picture does.
    made = painted(shot(frames, {1: recoloured}, both=both), frames)[1]
    got, film, given = (rgb_to_lab(rgb) for rgb in (made, frames[1] // 2 + 60, recoloured))
    assert (got[:, 1:] - given[:, 1:]).abs().mean() < 3
    assert (rgb_to_lab(frames[1])[:, :1] - got[:, :1]).abs().mean() < 0.5
    assert (got[:, 1:] - film[:, 1:]).abs().mean() > 5


def test_frames_before_the_only_keyframe_are_coloured_from_it(shot, entering) -> None:
    frames, middle = entering[4:], 2
    quality = {}
    for both in (True, False):
        made = painted(shot(frames, {middle: frames[middle]}, both=both), frames)
        quality[both] = [psnr(rgb, frame) for rgb, frame in zip(made, frames, strict=True)]
    assert all(quality[True][n] > quality[False][n] + 0.5 for n in range(middle))
    assert quality[True][middle + 1 :] == quality[False][middle + 1 :], "behind the last keyframe there is one way"


def test_without_keyframes_references_colour_a_shot_as_the_painter_does(system, shot, entering) -> None:
    frames, references = entering[:3], [entering[2][..., :48], entering[1][..., 10:, :]]
    painter = Painter(system, 240)
    painter.start(*references)
    expected = [painter.paint(frame) for frame in frames]
    made = painted(shot(frames, {}, references=references), frames)
    assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))


def test_a_frame_of_more_than_8_bits_stays_one(shot, entering) -> None:
    frames = [frame.float() / 255 for frame in entering[:3]]
    painter = shot(frames, {0: entering[0], 2: entering[2]})
    deep = [painter.paint(frame)[0] for frame in frames]
    shallow = painted(shot(entering[:3], {0: entering[0], 2: entering[2]}, files_in="again"), entering[:3])
    assert {frame.dtype for frame in deep} == {torch.int32}
    assert all((a / 257 - b.float()).abs().mean() < 0.5 for a, b in zip(deep, shallow, strict=True))


class Watched:
    """A film of which each frame is made when it is read."""

    def __init__(self, film: RenderedFilm | SampleFilm) -> None:
        self.film, self.asked = film, []

    def frame(self, number: int) -> Tensor:
        return torch.from_numpy(self.film.frame(number)).permute(2, 0, 1)[None].contiguous()

    def backward_frames(self, first: int, stop: int) -> Iterator[Tensor]:
        self.asked.append((first, stop))
        return map(self.frame, range(first, stop))

    def __len__(self) -> int:
        return len(self.film)


def test_the_way_back_goes_span_by_span_and_leaves_nothing(shot, tmp_path: Path) -> None:
    film, folder, stages = Watched(Entering(frames=9)), tmp_path / "estimates", []
    keyframes = {n: film.frame(n) for n in (2, 3, 6)}
    told: list[int] = []
    painter = shot(film, keyframes, backward_frames=film.backward_frames, progress=lambda: told.append(1))
    files = EstimateFiles(folder)
    for number in range(9):
        painter.paint(film.frame(number))
        bound = EstimateFiles.bytes_for(3, SIZE) + 3 * 128
        assert sum(path.stat().st_size for path in folder.iterdir()) <= bound
        files.drop(number)
        stages.append(sorted(int(path.stem.split("-")[1]) for path in folder.iterdir()))
    assert stages == [[1], [], [], [4, 5], [5], [], [], [], []]
    assert film.asked == [(0, 3), (4, 7)]
    assert len(told) == 4


def test_what_was_found_on_the_way_back_is_not_looked_for_again(shot) -> None:
    film = Watched(Entering(frames=4))
    keyframes = {0: film.frame(0), 3: film.frame(3)}
    first, again = (shot(film, keyframes, backward_frames=film.backward_frames) for _ in range(2))
    frames = [film.frame(n) for n in range(4)]
    expected = painted(first, frames)
    assert all(torch.equal(a, b) for a, b in zip(painted(again, frames), expected, strict=True))
    assert film.asked == [(1, 4)]


@dataclass
class Encoded:
    """A system that tells which of the memories that it encoded are alive."""

    system: FlowChroma

    def __post_init__(self) -> None:
        self.memories: list[weakref.ref] = []

    def __getattr__(self, name: str):
        return getattr(self.system, name)

    def start(self, *references: Tensor):
        state = self.system.start(*references)
        self.memories.append(weakref.ref(state.references))
        return state


def test_of_many_keyframes_the_nearest_four_are_matched_with(system, shot) -> None:
    numbers = [0, 1, 3, 5, 7, 9]
    frames, watching = frames_of(SampleFilm(5, 10, (32, 48), "val")), Encoded(system)
    own = {n: positions(system.start(rgb_to_lab(frames[n])[:, None]).references) for n in numbers}
    painter = shot(frames, {n: frames[n] for n in numbers}, both=False, system=watching)
    for number, frame in enumerate(frames):
        painter.paint(frame)
        memory = painter.state.references
        assert int(memory.image.max()) == 3
        seen = positions(memory)
        nearest = sorted(numbers, key=lambda n, at=number: abs(n - at))[:2]
        assert all(own[n] <= seen for n in nearest), f"frame {number} is not matched with both keyframes around it"
        assert sum(ref() is not None for ref in watching.memories) <= 4
    assert len(watching.memories) == len(numbers), "each is encoded once"


def positions(memory: ReferenceMemory) -> set[tuple[float, ...]]:
    return set(map(tuple, memory.lab[0].tolist()))


def test_memory_does_not_grow_with_the_film(system, shot) -> None:
    keeps_two = FlowChroma(system.flow, system.matcher, system.fusion, recent=2, every=1)

    def most_alive(frames: int) -> int:
        film, most = Watched(SampleFilm(5, frames, (32, 48), "val")), 0

        def count() -> None:
            nonlocal most
            most = max(most, sum(x.nbytes for x in gc.get_objects() if type(x) is torch.Tensor))

        keyframes = {0: film.frame(0), frames - 1: film.frame(frames - 1)}
        options = {
            "backward_frames": film.backward_frames,
            "files_in": f"of {frames}",
            "progress": count,
            "system": keeps_two,
        }
        painter = shot(film, keyframes, **options)
        for number in range(frames):
            painter.paint(film.frame(number))
            count()
        return most

    most_alive(3)  # what is made on first use and kept
    gc.collect()
    assert most_alive(10) <= most_alive(6)

"""One made film, coloured in every way that there is."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from flowchroma.app import demonstration
from flowchroma.app.systems import load_system
from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.colorizers import Painter
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.data import SampleFilm
from flowchroma.evaluation.inspection import inspect_clip
from flowchroma.losses import L1, WeightedSum
from flowchroma.models import BlendFusion, FlowChroma, roll_out
from flowchroma.models.state import Known
from flowchroma.training import FusionStage
from flowchroma.types import Clip

FRAMES = 5


def loss_of_colour() -> WeightedSum:
    return WeightedSum({"l1": L1()}, {"l1": 1.0})


@pytest.fixture(scope="module")
def film() -> SampleFilm:
    return SampleFilm(3, FRAMES, (48, 64), "val")


@pytest.fixture(scope="module")
def rgb(film: SampleFilm) -> Tensor:
    return torch.from_numpy(np.stack(film.read(range(FRAMES)))).movedim(-1, 1)


@pytest.fixture
def system() -> FlowChroma:
    trained = load_system()
    trained.flow.cut = None  # as in training
    return FlowChroma(trained.flow, trained.matcher, trained.fusion, recent=2, every=2).eval()


@pytest.fixture
def lab(rgb: Tensor) -> Tensor:
    return rgb_to_lab(rgb)


def rolled(system: FlowChroma, lab: Tensor, **options) -> Iterator:
    return roll_out(system, lab[:, None, :1], [lab[:1, None]], {0: Known(lab[:1, 1:])}, **options)


def as_clip(lab: Tensor, coloured: bool = True) -> Clip:
    count, (height, width) = len(lab) - 1, lab.shape[-2:]
    flow, visible = torch.zeros(1, count, 2, height, width), torch.ones(1, count, 1, height, width)
    whole = torch.tensor([True])
    return Clip(lab[None], lab[None, :1], flow, visible, whole, torch.tensor([coloured]), whole, ["film"])


@torch.inference_mode()
def test_all_that_colours_a_film_agrees_to_the_bit(system: FlowChroma, film, rgb: Tensor, lab: Tensor) -> None:
    frames = list(rolled(system, lab))
    expected = [lab_to_rgb8(torch.cat([frame.luma, frame.ab], dim=1)) for frame in frames]

    painter = Painter(system, 240)
    painter.start(rgb[:1])
    painter.observe(rgb[:1])
    made = {"evaluation": [expected[0], *(painter.paint(frame[None]) for frame in rgb[1:])]}
    made["demonstration"] = [frame["fused"] for frame in demonstration.colour(system, film)]

    painter = ShotPainter(system, 240, 0, FRAMES, {0: rgb[:1]}, [], None, None)
    made["colouring"] = [painter.paint(frame[None])[0] for frame in rgb]

    stage = FusionStage(
        system.fusion, system.flow, system.matcher, loss_of_colour(), torch.optim.Adam, None, 2, 2
    ).eval()
    validated = [found["psnr"] for found in stage.colours(as_clip(lab))]
    made["validation"] = [
        expected[0],
        *(lab_to_rgb8(torch.cat([frame.luma, ab], dim=1)) for frame, ab in zip(frames[1:], validated, strict=True)),
    ]
    assert len(expected) == FRAMES
    for name, colours in made.items():
        assert [torch.equal(a, b) for a, b in zip(expected, colours, strict=True)] == [True] * FRAMES, name
    exact = [frame.ab for frame in frames[1:]]
    assert all(torch.equal(a, b) for a, b in zip(exact, validated, strict=True))
    seen = inspect_clip(system, rgb.float() / 255)
    for inside, frame in zip(seen, frames[1:], strict=True):
        assert torch.equal(inside.confidence, frame.signals.propagation.confidence)
        assert torch.equal(lab_to_rgb8(rgb_to_lab(inside.coloured)), expected[inside.number])


@torch.inference_mode()
def test_training_rolls_out_what_colouring_does(system: FlowChroma, lab: Tensor) -> None:
    loss = loss_of_colour()
    stage = FusionStage(system.fusion, system.flow, system.matcher, loss, torch.optim.Adam, None, 2, 2)
    predictions = list(stage.predictions(as_clip(lab)))
    assert all(torch.equal(a.ab, b.ab) for a, b in zip(predictions, list(rolled(system, lab))[1:], strict=True))
    found = next(stage.predictions(as_clip(lab, coloured=False)))
    ab, _ = system.step(lab[:1, :1], system.start(lab[:1, None]))
    assert torch.equal(found.ab, ab)


@torch.inference_mode()
def test_a_known_colour_is_carried_on_with_confidence_1(system: FlowChroma, lab: Tensor) -> None:
    """In the demonstration it once was 0.74."""
    known = {0: Known(lab[:1, 1:]), 2: Known(lab[2:3, 1:])}
    frames = list(roll_out(system, lab[:, None, :1], [lab[:1, None]], known))
    assert [bool((frame.state.confidence == 1).all()) for frame in frames] == [True, False, True, False, False]
    assert [frame.signals is None for frame in frames] == [True, False, True, False, False]
    assert torch.equal(frames[2].ab, lab[2:3, 1:])
    assert [len(frame.state.recent) for frame in frames] == [0, 0, 1, 1, 2]


@torch.inference_mode()
def test_in_a_batch_each_item_goes_by_what_is_known_of_it(system: FlowChroma, lab: Tensor) -> None:
    both = lab[:, None].expand(-1, 2, -1, -1, -1)
    known = {0: Known(both[0, :, 1:], torch.tensor([True, False]))}
    frames = list(roll_out(system, both[:3, :, :1], [both[0, :, None]], known))
    alone = [list(rolled(system, lab[:3])), list(roll_out(system, lab[:3, None, :1], [lab[:1, None]]))]
    assert torch.equal(frames[0].ab[0], lab[0, 1:])
    assert bool((frames[0].state.confidence[0] == 1).all())
    assert frames[0].state.confidence[1].max() < 0.99
    for item in range(2):
        for frame, single in zip(frames, alone[item], strict=True):
            torch.testing.assert_close(frame.ab[item], single.ab[0], atol=1e-2, rtol=0)
    assert (frames[2].ab[0] - frames[2].ab[1]).abs().mean() > 0.05


@torch.inference_mode()
def test_frames_are_taken_one_at_a_time(system: FlowChroma, lab: Tensor) -> None:
    taken = []
    lumas = (taken.append(number) or luma for number, luma in enumerate(lab[:, None, :1]))
    frames = roll_out(system, lumas, [lab[:1, None]], {0: Known(lab[:1, 1:])})
    next(frames)
    next(frames)
    assert taken == [0, 1]


def test_the_horizon_ends_gradients_and_changes_no_colour(system: FlowChroma, lab: Tensor) -> None:
    system = FlowChroma(system.flow, system.matcher, BlendFusion(8, 2))  # which carries on what it shows
    with torch.no_grad():
        free = [frame.ab for frame in rolled(system, lab)]
    cut = [frame.ab for frame in rolled(system, lab, horizon=2)]
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(free, cut, strict=True))
    assert torch.autograd.grad(cut[3].sum(), cut[2], retain_graph=True, allow_unused=True)[0] is not None
    assert torch.autograd.grad(cut[3].sum(), cut[1], allow_unused=True)[0] is None

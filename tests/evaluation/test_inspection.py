import pytest
import torch

from flowchroma import ops
from flowchroma.app.systems import load_system
from flowchroma.evaluation.inspection import inspect_clip, mixture, shares, sheet
from flowchroma.models.contracts import Fusion
from flowchroma.pages import pictures
from flowchroma.types import Propagation


def colours(*values: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(values).T.reshape(1, 2, 1, len(values))


def test_a_mixture_is_taken_apart():
    carried = Propagation(
        colours((10.0, 0), (10, 0), (10, 0), (10, 0), (10, 0)), torch.tensor([1, 1, 1, 1, 0.0]).view(1, 1, 1, 5)
    )
    matched = colours((20, 0), (20, 0), (20, 0), (10.5, 0), (20, 0))
    ab = colours((12.5, 0), (17, 4), (5, 0), (10, 3), (20, 1))
    share, rest = mixture(ab, carried, matched)
    assert share[0, 0, 0, :3].tolist() == pytest.approx([0.25, 0.7, 0.0])
    assert torch.isnan(share[0, 0, 0, 3])  # the two are alike
    assert share[0, 0, 0, 4] == 1  # nothing was carried
    assert rest[0, 0, 0].tolist() == pytest.approx([0, 4, 5, 3, 1], abs=1e-4)


@pytest.fixture
def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 3, 8, 10, generator=generator)
    large = torch.nn.functional.interpolate(picture, (48, 64), mode="bilinear").clamp(0, 1)
    return torch.cat([large, large.roll(1, -1), large.roll(2, -1)])


def test_what_is_seen_is_what_the_system_does(frames):
    system = load_system()
    seen = inspect_clip(system, frames)
    assert [inside.number for inside in seen] == [1, 2]
    from flowchroma.color import into_gamut, lab_to_rgb, rgb_to_lab

    lab = rgb_to_lab(frames)[:, None]
    with torch.inference_mode():
        state = system.observe(lab[0, :, :1], lab[0, :, 1:], system.start(lab[:1]))
        for number in (1, 2):
            ab, state = system.step(lab[number, :, :1], state)
            rgb = lab_to_rgb(into_gamut(torch.cat([lab[number, :, :1], ab], dim=1)))
            torch.testing.assert_close(seen[number - 1].coloured, rgb)
    for inside in seen:
        assert sum(shares(inside).values()) == pytest.approx(1, abs=1e-5)
        assert inside.matched_since.min() >= 0
        assert inside.matched_since.max() <= 1


class Still(torch.nn.Module):
    """A flow network that sees no motion, and nothing in the left half."""

    def step(self, luma, state):
        from flowchroma.types import Flow

        if state is None:
            return None, "seen"
        confidence = torch.ones_like(luma)
        confidence[..., : luma.shape[-1] // 2] = 0
        return Flow(torch.zeros_like(luma).expand(-1, 2, -1, -1), confidence), "seen"


class Matched(torch.nn.Module):
    def encode_references(self, references):
        from flowchroma.models.state import ReferenceMemory

        nothing = torch.zeros(1, 1, 3)
        return ReferenceMemory(nothing, nothing, torch.zeros(1, dtype=torch.int64))

    def match(self, luma, memories, last):
        from flowchroma.types import Match

        return [Match(torch.full_like(luma, 40).expand(-1, 2, -1, -1), torch.ones_like(luma), luma, luma)]


class Half(Fusion):
    def forward(self, signals):
        carried, found = signals.propagation, signals.match
        return torch.where(carried.confidence > 0, (carried.ab + found.ab) / 2, found.ab)


def test_colour_that_was_found_stays_found_while_it_is_carried():
    from flowchroma.models import FlowChroma

    gray = torch.full((4, 3, 8, 8), 0.5)
    seen = inspect_clip(FlowChroma(Still(), Matched(), Half()), gray)
    for number, inside in enumerate(seen, start=1):
        assert torch.allclose(inside.matched_since[..., 4:], torch.tensor(1 - 0.5**number), atol=1e-3)
        assert (inside.matched_since[..., :4] == 1).all()
        assert torch.allclose(inside.matched[..., 4:], torch.tensor(0.5), atol=1e-3)
        assert inside.corrected.max() < 1e-3


def test_a_sheet_has_a_row_a_frame(frames):
    seen = inspect_clip(load_system(), frames)
    one, two = sheet(seen[:1]), sheet(seen)
    assert two.width == one.width
    assert two.height > one.height
    assert len(seen[0].pictures()) == 8
    for picture in seen[0].pictures().values():
        assert picture.shape == (3, 48, 64)
        assert 0 <= picture.min() <= picture.max() <= 1


def test_pictures_are_what_they_say():
    red = torch.zeros(3, 4, 4)
    red[0] = 1
    assert pictures.to_image(red).getpixel((0, 0)) == (255, 0, 0)
    assert pictures.colour_error(red, red).max() < 0.02
    assert pictures.colour_error(red, 1 - red).mean() > 0.5
    assert torch.equal(pictures.gray(torch.tensor([[[2.0, -1.0]]])), torch.tensor([[[1.0, 0.0]]]).expand(3, -1, -1))
    right, left = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
    right[0], left[0] = 3, -3
    assert not torch.allclose(pictures.flow_colours(right), pictures.flow_colours(left))
    assert ops.inside(right[None]).any()

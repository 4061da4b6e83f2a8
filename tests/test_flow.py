"""The flow that ships, on made films that nothing was trained on."""

import pytest
import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.app.systems import load_part
from flowchroma.color import rgb_to_lab
from flowchroma.data.made.sample import SampleFilm
from flowchroma.metrics import epe_map
from flowchroma.models import MemFlowSmall

FILMS, FRAMES, SIZE = 8, 5, (128, 128)


@pytest.fixture(scope="module")
def network() -> MemFlowSmall:
    found = load_part("flow")
    assert isinstance(found, MemFlowSmall)
    return found


def film(seed: int) -> tuple[Tensor, Tensor]:
    """CIELAB frames (T, 3, H, W) and the exact flow of each to the one before."""
    made = SampleFilm(seed, FRAMES, SIZE, "val")
    frames = torch.stack([torch.from_numpy(frame).movedim(-1, 0) for frame in made])
    return rgb_to_lab(frames / 255), made.read_flow(range(FRAMES))[0]


@torch.no_grad()
def test_it_errs_less_than_opencv_and_its_carrier_carries_colour_no_worse(network: MemFlowSmall) -> None:
    errors, colours = {"ours": [], "dis": []}, {"colour_flow": [], "dis": []}
    for seed in range(FILMS):
        lab, true = film(seed)
        _, state = network.step(lab[:1, :1], None)
        for t in range(1, FRAMES):
            luma, previous = lab[t : t + 1, :1], lab[t - 1 : t, :1]
            found, state = network.step(luma, state)
            assert found is not None
            dis = ops.dis_flow(luma, previous)
            for name, flow in (("ours", found.flow), ("dis", dis)):
                errors[name].append(epe_map(flow, true[t : t + 1]).mean())
            for name, flow in (("colour_flow", found.colour_flow), ("dis", dis)):
                carried = ops.backward_warp(lab[t - 1 : t, 1:], flow)
                colours[name].append((carried - lab[t : t + 1, 1:]).abs().mean())
    assert sum(errors["ours"]) < 0.6 * sum(errors["dis"])
    assert sum(colours["colour_flow"]) < sum(colours["dis"])

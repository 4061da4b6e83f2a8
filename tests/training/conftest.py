import pytest
import torch

from flowchroma.losses import color_loss
from flowchroma.models import SimpleFusion
from flowchroma.training import FusionStage
from flowchroma.types import Clip


def made_clip(frames: int = 3, coloured: tuple[bool, ...] = (True, False)) -> Clip:
    batch = len(coloured)
    coarse = torch.rand(batch * 3, 1, 10, 10)
    picture = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bicubic").view(batch, 3, 64, 64)
    lab = picture * torch.tensor([90.0, 60, 60]).view(3, 1, 1) - torch.tensor([0.0, 30, 30]).view(3, 1, 1)
    film = torch.stack([lab.roll(2 * t, dims=-1) for t in range(frames)], dim=1)
    flow = torch.zeros(batch, frames - 1, 2, 64, 64)
    flow[:, :, 0] = -2
    return Clip(
        lab=film,
        references=film[:, :1],
        flow=flow,
        visible=torch.ones(batch, frames - 1, 1, 64, 64),
        has_flow=torch.ones(batch, dtype=torch.bool),
        starts_coloured=torch.tensor(coloured),
        names=[f"clip {i}" for i in range(batch)],
    )


@pytest.fixture
def clip() -> Clip:
    return made_clip()


@pytest.fixture
def fusion(build) -> FusionStage:
    loss = color_loss(perceptual=0, contextual=0)
    return FusionStage(
        SimpleFusion(14), build("memflow_small"), build("swintexco_small"), loss, lambda p: torch.optim.Adam(p, 3e-3)
    )

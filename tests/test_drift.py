"""What ships, a hundred frames after the only colour that it was given."""

import torch

from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers import ChainedDis
from flowchroma.data import SampleFilm


@torch.inference_mode()
def test_colour_is_hardly_worse_at_frame_100_than_at_frame_10():
    rgb = torch.stack([torch.from_numpy(frame) for frame in SampleFilm(1001, 106, (64, 96), "val")])
    lab = rgb_to_lab(rgb.permute(0, 3, 1, 2))[:, None]
    drift = {}
    for name, colorizer in (("system", load_system(None)), ("dis", ChainedDis())):
        state = colorizer.observe(lab[0, :, :1], lab[0, :, 1:], colorizer.start(lab[:1]))
        errors = []
        for frame in lab[1:]:
            ab, state = colorizer.step(frame[:, :1], state)
            errors.append((ab - frame[:, 1:]).square().mean())
        early, late = torch.stack(errors[4:14]).mean(), torch.stack(errors[95:105]).mean()
        drift[name] = (10 * torch.log10(late / early)).item()  # decibels lost
    assert drift["system"] < 4
    assert drift["system"] < drift["dis"] - 2

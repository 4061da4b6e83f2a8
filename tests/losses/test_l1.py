import dataclasses

import pytest
import torch

from flowchroma.losses import L1


def test_unit(frame):
    p = frame()
    p = dataclasses.replace(p, ab=p.target_ab + 11)
    assert L1()(p).item() == pytest.approx(0.1, rel=1e-5)


def test_mask_leaves_pixels_out(frame):
    p = frame(batch=2, height=4, width=4)
    ab = p.target_ab.clone()
    ab[0, :, 0, 0] += 110
    ab[1, :, 3, 3] -= 55
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, 0, 0] = mask[1, :, 3, 3] = 1
    assert L1()(dataclasses.replace(p, ab=ab, mask=mask)).item() == pytest.approx(0.75, rel=1e-5)
    assert L1()(dataclasses.replace(p, ab=ab, mask=1 - mask)).item() == 0
    assert L1()(dataclasses.replace(p, ab=ab, mask=0 * mask)).item() == 0

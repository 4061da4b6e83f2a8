import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000

from flowchroma.metrics import ciede2000, ciede2000_map

# Sharma et al. 2005, table 1: two Lab colours and their difference. Rows 5 to 10 lie on both sides of opposite hues.
SHARMA = """
50.0000 2.6772 -79.7751   50.0000 0.0000 -82.7485   2.0425
50.0000 -1.3802 -84.2814  50.0000 0.0000 -82.7485   1.0000
50.0000 0.0000 0.0000     50.0000 -1.0000 2.0000    2.3669
50.0000 -1.0000 2.0000    50.0000 0.0000 0.0000     2.3669
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0009    7.1792
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0010    7.1792
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0011    7.2195
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0012    7.2195
50.0000 -0.0010 2.4900    50.0000 0.0009 -2.4900    4.8045
50.0000 -0.0010 2.4900    50.0000 0.0011 -2.4900    4.7461
50.0000 2.5000 0.0000     50.0000 0.0000 -2.5000    4.3065
50.0000 2.5000 0.0000     73.0000 25.0000 -18.0000  27.1492
50.0000 2.5000 0.0000     61.0000 -5.0000 29.0000   22.8977
50.0000 2.5000 0.0000     56.0000 -27.0000 -3.0000  31.9030
50.0000 2.5000 0.0000     58.0000 24.0000 15.0000   19.4535
50.0000 2.5000 0.0000     50.0000 1.8634 0.5757     1.0000
60.2574 -34.0099 36.2677  60.4626 -34.1751 39.4387  1.2644
63.0109 -31.0961 -5.8663  62.8187 -29.7946 -4.0864  1.2630
61.2901 3.7196 -5.3901    61.4292 2.2480 -4.9620    1.8731
35.0831 -44.1164 3.7933   35.0232 -40.0716 1.5901   1.8645
22.7233 20.0904 -46.6940  23.0331 14.9730 -42.5619  2.0373
36.4612 47.8580 18.3852   36.2715 50.5065 21.2231   1.4146
90.8027 -2.0831 1.4410    91.1528 -1.6435 0.0447    1.4441
90.9257 -0.5406 -0.9208   88.6381 -0.8985 -0.7239   1.5381
6.7747 -0.2908 -2.4247    5.8714 -0.0985 -2.2286    0.6377
2.0776 0.0795 -1.1350     0.9033 -0.0636 -0.5514    0.9082
"""
PAIRS = np.array([line.split() for line in SHARMA.split("\n") if line], float)


def columns(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.T.copy())[None, :, None]


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("swapped", [False, True])
def test_published_pairs(kind, swapped):
    one, other = columns(PAIRS[:, :3]).to(kind), columns(PAIRS[:, 3:6]).to(kind)
    if swapped:
        one, other = other, one
    got = ciede2000_map(one, other)
    assert got.dtype == kind
    # The hues of the sixth are exactly opposite: rounding decides which arc is taken when they are exchanged.
    keep = np.ones(len(PAIRS), bool)
    if swapped:
        keep[5] = False
    np.testing.assert_allclose(got[0, 0, 0].numpy()[keep], PAIRS[keep, 6], atol=1e-4)


@pytest.mark.parametrize(("kind", "within"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_agrees_with_scikit_image_on_many_colours(kind, within):
    rng = np.random.default_rng(0)
    low, high = np.array([0, -110, -110]), np.array([100, 110, 110])
    one, other = rng.uniform(low, high, (2, 4000, 3))
    other[:2000] = one[:2000] + rng.normal(0, 2, (2000, 3))
    one[:50, 1:] = 0  # gray, of no hue
    got = ciede2000_map(columns(one).to(kind), columns(other).to(kind))[0, 0, 0]
    np.testing.assert_allclose(got.numpy(), deltaE_ciede2000(one, other), atol=within)


def test_mean_is_of_each_image():
    lab = torch.tensor([50.0, 2.5, 0.0]).view(1, 3, 1, 1).expand(2, 3, 2, 2).clone()
    target = lab.clone()
    target[1, :, 0, 0] = torch.tensor([73.0, 25.0, -18.0])
    assert ciede2000(lab, target).tolist() == pytest.approx([0, 27.1492 / 4], abs=1e-4)
    with pytest.raises(ValueError, match="shape"):
        ciede2000(lab, target[:1])

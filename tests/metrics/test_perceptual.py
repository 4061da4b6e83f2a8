import pytest
import torch

from flowchroma.metrics import inception_features, lpips_distance


def test_lpips_sees_minus_one_to_one():
    seen = []

    def network(prediction, target):
        seen.extend([prediction, target])
        return torch.zeros(len(prediction), 1, 1, 1)

    image = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).expand(2, 3, 4, 2)
    got = lpips_distance(network, image, 255 - image)
    assert got.shape == (2,)
    assert got.dtype == torch.float64
    assert seen[0].unique().tolist() == [-1, 1]
    torch.testing.assert_close(seen[1], -seen[0])
    lpips_distance(network, image / 255, 1 - image / 255)
    torch.testing.assert_close(seen[2], seen[0])
    with pytest.raises(ValueError, match="shape"):
        lpips_distance(network, image, image[:1])


def test_no_half_precision_under_autocast():
    def network(prediction, target):
        return (prediction.flatten(1) @ target.flatten(1).T).diagonal()

    image = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    expected = lpips_distance(network, image, image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(lpips_distance(network, image, image), expected, rtol=0, atol=0)


def test_inception_sees_8_bit_frames_alone():
    def network(frames):
        return frames.float().mean(dim=(2, 3))

    frames = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(inception_features(network, frames), frames.float().mean(dim=(2, 3)).double())
    with pytest.raises(ValueError, match="8-bit"):
        inception_features(network, frames.float())

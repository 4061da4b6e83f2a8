"""The compact matcher with its frozen trunk, as it ships."""

import torch

from flowchroma.models import SwinTExCoSmall

from .test_networks import lab


@torch.no_grad()
def test_by_votes_a_frame_that_the_reference_holds_is_sharp(matcher: SwinTExCoSmall) -> None:
    frame = lab(1, 3, 64, 96)
    (found,) = matcher.match(frame[:, :1], (matcher.encode_references(frame[:, None]),))
    mean, close = ((match.ab - frame[:, 1:]).abs().mean() for match in (found, found.finest))
    assert close < 0.5 < mean / 4
    assert found.finest.difference.mean() < 0.5


@torch.no_grad()
def test_alone_it_reads_the_mean_and_no_votes(matcher: SwinTExCoSmall) -> None:
    luma, memory = lab(1, 3, 33, 47)[:, :1], matcher.encode_references(lab(1, 2, 3, 50, 41))
    alone, (seen,) = matcher(luma, memory), matcher.match(luma, (memory,))
    assert alone.voted is None
    assert alone.finest is alone
    assert torch.equal(alone.ab, seen.ab)
    for name in ("ab", "similarity", "difference", "source"):
        assert getattr(seen.finest, name).shape == getattr(alone, name).shape
    assert 0 <= seen.finest.similarity.min() <= seen.finest.similarity.max() <= 1


@torch.no_grad()
def test_patches_of_joined_memories_are_read_as_those_of_one(matcher: SwinTExCoSmall) -> None:
    references, luma = lab(1, 2, 3, 48, 64), lab(1, 3, 40, 72)[:, :1]
    together = matcher.encode_references(references)
    joined = type(together).join([matcher.encode_references(references[:, n : n + 1]) for n in range(2)])
    assert torch.equal(joined.patches, together.patches)
    first, second = (matcher.match(luma, (memory,))[0].finest for memory in (joined, together))
    torch.testing.assert_close(first.ab, second.ab, atol=1e-3, rtol=0)  # batches round differently
    assert torch.equal(first.source, second.source)

"""SwinTExCo as published (Tran et al., Expert Systems with Applications 260, 2025)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import lab_to_rgb
from flowchroma.models.state import ReferenceMemory
from flowchroma.models.swintexco.colornet import ColorVidNet
from flowchroma.models.swintexco.feature_pyramid import FeaturePyramid
from flowchroma.models.swintexco.tokens import STRIDE, reference_memory, tokens
from flowchroma.models.swintexco.warp import WarpNet
from flowchroma.types import Match

MULTIPLE = 32  # the deepest level of most trunks is a thirty-second of the frame
SMALLEST = 64  # the deepest level is then two pixels wide: one has no variance to normalise by
MIDDLE_GRAY = 50.0  # of L, subtracted


class SwinTExCo(nn.Module):
    """Colour by matching a gray frame against references, completed by a network that is given the frame before.

    Args:
        trunk: features that are matched.
        temperature: of the matching, wherever a gradient has to pass through it.
        sharp: of the matching elsewhere. At the published 1e-10 a pixel takes the colour of the single best position,
            and the gradient would be exactly zero.
        top: see `ops.match`.
    """

    def __init__(
        self, trunk: FeaturePyramid, temperature: float = 0.01, sharp: float = 1e-10, top: int | None = None
    ) -> None:
        super().__init__()
        self.embed = trunk
        self.warp = WarpNet(trunk.channels)
        self.colornet = ColorVidNet()
        self.temperature, self.sharp, self.top = temperature, sharp, top

    def encode_references(self, references: Tensor, features: Tensor | None = None) -> ReferenceMemory:
        """Encode references (B, R, 3, H, W), CIELAB, of any size: every position of all of them as one memory.

        They are encoded in colour: `features` of the gray frame are not read.
        """
        count = references.shape[1]
        lab, _ = ops.pad_to_multiple(references.flatten(0, 1), MULTIPLE, SMALLEST)
        keys = self.warp.key(self._levels(lab_to_rgb(lab)), _size(lab))
        return reference_memory(keys, lab, count)

    def features(self, luma: Tensor) -> Tensor:
        """What a frame (B, 1, H, W), L in [0, 100], is compared by, as `Matcher.features`."""
        return self._queries(ops.pad_to_multiple(luma, MULTIPLE, SMALLEST)[0])

    def forward(self, luma: Tensor, memory: ReferenceMemory, last: Tensor | None = None) -> Match:
        """Find colour for frames (B, 1, H, W), L in [0, 100], of any size, as `Matcher.match` does."""
        return self.match(luma, (memory,), last)[0]

    def match(self, luma: Tensor, memories: Sequence[ReferenceMemory], last: Tensor | None = None) -> list[Match]:
        """`forward` for each of several memories; the frame is encoded once."""
        frame, padding = ops.pad_to_multiple(luma, MULTIPLE, SMALLEST)
        before = frame.new_zeros(len(frame), 3, *_size(frame))
        if last is not None:
            before, _ = ops.pad_to_multiple(_centre(last).to(luma.dtype), MULTIPLE, SMALLEST)
        queries = self._queries(frame)
        matches = []
        for memory in memories:
            lab, similarity, image = (x.to(luma.dtype) for x in self._matched(queries, memory))
            difference = (lab[:, :1] - F.avg_pool2d(frame, STRIDE)).abs()
            found = torch.cat([lab[:, 1:], similarity, difference, image], dim=1)
            found = F.interpolate(found, scale_factor=float(STRIDE), mode="nearest")
            ab = self.colornet(torch.cat([_centre(frame), found[:, :3], before], dim=1))
            ab, found = padding.crop(ab.to(luma.dtype)), padding.crop(found[:, 2:])
            similarity, difference, source = found[:, :1].clamp(0, 1), found[:, 1:2], found[:, 2:].long()
            matches.append(Match(ab, similarity, difference, source, features=queries))
        return matches

    def match_colour(self, luma: Tensor, memory: ReferenceMemory) -> tuple[Tensor, Tensor, Tensor]:
        """Matched colour for frames (B, 1, H, W), sides multiples of 32 from 64 on, before ColorVidNet completes it.

        Returns:
            CIELAB, (B, 3, H / 4, W / 4), and of the best position cosine similarity and image, (B, 1, H / 4, W / 4).
        """
        return self._matched(self._queries(luma), memory)

    def _queries(self, luma: Tensor) -> Tensor:
        return self.warp.query(self._levels((luma / 100).expand(-1, 3, -1, -1)), _size(luma))

    def _matched(self, queries: Tensor, memory: ReferenceMemory) -> tuple[Tensor, Tensor, Tensor]:
        trains = torch.is_grad_enabled() and (queries.requires_grad or memory.keys.requires_grad)
        temperature = self.temperature if trains else self.sharp
        found = ops.match(tokens(queries), memory.keys, memory.lab, temperature, top=self.top)
        parts = (found.values, found.similarity[..., :1], memory.image[found.place[..., :1]])
        lab, similarity, image = (x.transpose(1, 2).unflatten(2, queries.shape[-2:]) for x in parts)
        return lab, similarity, image

    def _levels(self, rgb: Tensor) -> list[Tensor]:
        return [F.normalize(level, dim=1) for level in self.embed(rgb)]


def _centre(lab: Tensor) -> Tensor:
    """Move L to [-50, 50]; ab, if there is any, stays."""
    return torch.cat([lab[:, :1] - MIDDLE_GRAY, lab[:, 1:]], dim=1)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]

"""The compact sibling of SwinTExCo (Tran et al., Expert Systems with Applications 260, 2025)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import scale_ab, scale_luma, unscale_ab
from flowchroma.models.swintexco.tokens import STRIDE, cells, gather, standard, uncells
from flowchroma.types import Match, ReferenceMemory

MULTIPLE = 16  # the deepest level is a sixteenth of the frame
_CHANNELS = {"relu2_2": 128, "relu3_3": 256, "relu4_3": 512}  # of VGG16
_WIDTHS = {"relu2_2": 32, "relu3_3": 64, "relu4_3": 64}


class Embedding(nn.Module):
    """Unit-length features of a gray frame at a quarter of its size, made to be compared.

    The trunk sees the frame at half its size: its wider view matches better than full resolution does, at a quarter of
    the cost. Each level is centred over the frame and projected to few channels.

    Attributes:
        fitted: whether `fit` was called.

    Args:
        trunk: frozen features of RGB in [0, 1], returned by name; the first level at a half of what it sees.
        channels: of the trunk's levels, by name, the finest first.
        widths: channels that each level contributes.
    """

    def __init__(
        self, trunk: nn.Module, channels: Mapping[str, int] = _CHANNELS, widths: Mapping[str, int] = _WIDTHS
    ) -> None:
        super().__init__()
        self.trunk = trunk
        projections = {name: nn.Conv2d(channels[name], width, 1, bias=False) for name, width in widths.items()}
        for projection in projections.values():
            nn.init.orthogonal_(projection.weight)
        self.levels = nn.ModuleDict(projections)
        self.gains = nn.Parameter(torch.ones(len(widths)))
        self.register_buffer("fitted", torch.tensor(False))

    def forward(self, luma: Tensor) -> Tensor:
        """(B, 1, H, W), L in [0, 100], sides multiples of 16, to (B, C, H / 4, W / 4)."""
        features = self._features(luma)
        grid = next(iter(features.values())).shape[-2:]
        projected = (F.normalize(level(features[name]), dim=1) for name, level in self.levels.items())
        enlarged = (F.normalize(F.interpolate(x, size=grid, mode="bilinear"), dim=1) for x in projected)
        return F.normalize(torch.cat([g * x for g, x in zip(self.gains, enlarged, strict=True)], dim=1), dim=1)

    @torch.no_grad()
    def fit(self, frames: Iterable[Tensor]) -> None:
        """Project onto the principal components of what the trunk says of frames: good matching before any training.

        Args:
            frames: each (B, 1, H, W), L in [0, 100], sides multiples of 16.
        """
        moments: dict[str, Tensor] = {}
        for frame in frames:
            for name, features in self._features(frame).items():
                flat = features.transpose(0, 1).flatten(1).cpu().double()  # MPS has no float64
                moments[name] = moments.get(name, torch.zeros((), dtype=flat.dtype)) + flat @ flat.T
        for name, moment in moments.items():
            weight = cast(nn.Conv2d, self.levels[name]).weight
            weight.copy_(torch.linalg.eigh(moment).eigenvectors[:, -len(weight) :].T[..., None, None])
        cast(Tensor, self.fitted).fill_(True)

    def _features(self, luma: Tensor) -> dict[str, Tensor]:
        half = F.interpolate(luma, scale_factor=0.5, mode="bilinear", antialias=True)
        features = self.trunk((half / 100).expand(-1, 3, -1, -1))
        return {name: standard(features[name]) for name in self.levels}


class Refinement(nn.Module):
    """Matched colour, drawn to the edges of the luminance; computed at half the frame's size, four pixels at a time.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        leave = nn.Conv2d(width, 8, 3, padding=1)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(16, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            leave,
            nn.PixelShuffle(2),
        )
        nn.init.zeros_(leave.weight)
        assert leave.bias is not None
        nn.init.zeros_(leave.bias)

    def forward(self, luma: Tensor, ab: Tensor, similarity: Tensor) -> Tensor:
        """(B, 1 | 2 | 1, H, W), even sides, to refined ab, (B, 2, H, W). Starts as the identity on ab."""
        correction = self.layers(torch.cat([scale_luma(luma), scale_ab(ab), similarity], dim=1))
        return ab + unscale_ab(correction.to(ab.dtype))


class SwinTExCoSmall(nn.Module):
    """Colour by matching a gray frame against references, from coarse to fine.

    Args:
        trunk: see `Embedding`.
        temperature: of the matching at the start of training; it is learned.
        refine_width: see `Refinement`.
        cells: see `ops.match_cells`.
        top: see `ops.match_cells`.
    """

    def __init__(
        self, trunk: nn.Module, temperature: float = 0.03, refine_width: int = 32, cells: int = 8, top: int = 8
    ) -> None:
        super().__init__()
        self.embed = Embedding(trunk)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.refine = Refinement(refine_width)
        self.cells, self.top = cells, top

    def remember(self, references: Tensor) -> ReferenceMemory:
        """Encode references, once for a film or a shot.

        Args:
            references: (B, R, 3, H, W), CIELAB; any size.

        Returns:
            Every position of all of them as one memory.
        """
        count = references.shape[1]
        lab, _ = ops.pad_to_multiple(references.flatten(0, 1), MULTIPLE)
        return gather(self.embed(lab[:, :1]), lab, count, cells)

    def forward(self, luma: Tensor, memory: ReferenceMemory, last: Tensor | None = None) -> Match:
        """Find colour for frames.

        Args:
            luma: (B, 1, H, W), L in [0, 100]; any size.
            memory: what `remember` made of the references.
            last: the frame before, as in `SwinTExCo`; not used.
        """
        return self.look(luma, (memory,))[0]

    def look(self, luma: Tensor, memories: Sequence[ReferenceMemory], last: Tensor | None = None) -> list[Match]:
        """`forward` for each of several memories; the frame is encoded once."""
        padded, padding = ops.pad_to_multiple(luma, MULTIPLE)
        keys = self.embed(padded)
        queries, gray = cells(keys), F.avg_pool2d(padded, STRIDE)
        temperature = self.log_temperature.exp().clamp(min=0.005)
        matches = []
        for memory in memories:
            found = ops.match_cells(queries, memory.keys, memory.lab, temperature, self.cells, self.top)
            lab, similarity, image = (
                uncells(x, keys.shape[-2:]) for x in (found.values, found.similarity, memory.image[found.place])
            )
            similarity, difference = similarity.clamp(min=0), (lab[:, :1] - gray).abs()
            coarse = torch.cat([lab[:, 1:], similarity, difference], dim=1)
            ab, similarity, difference = F.interpolate(coarse, scale_factor=float(STRIDE), mode="bilinear").split(
                [2, 1, 1], dim=1
            )
            source = F.interpolate(image.float(), scale_factor=float(STRIDE), mode="nearest").long()
            whole = (self.refine(padded, ab, similarity), similarity, difference, source)
            matches.append(Match(*(padding.crop(x) for x in whole)))
        return matches

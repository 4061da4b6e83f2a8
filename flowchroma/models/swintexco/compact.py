"""The compact sibling of SwinTExCo (Tran et al., Expert Systems with Applications 260, 2025)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import scale_ab, scale_luma, unscale_ab
from flowchroma.models.state import ReferenceMemory
from flowchroma.models.swintexco.tokens import STRIDE, cells, gather, standard, uncells
from flowchroma.types import Match

MULTIPLE = 16  # the deepest level is a sixteenth of the frame
_CHUNK = 4096  # positions whose patches are read at a time
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
        """Project onto the principal components of what the trunk gives for frames: good matching before any training.

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
        votes: matches of each position that are read pixel by pixel, at most `top`; see `ops.vote`.
        noise: see `ops.vote`.
    """

    def __init__(
        self,
        trunk: nn.Module,
        temperature: float = 0.03,
        refine_width: int = 32,
        cells: int = 8,
        top: int = 8,
        votes: int = 3,
        noise: float = 2.0,
    ) -> None:
        super().__init__()
        self.embed = Embedding(trunk)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.refine = Refinement(refine_width)
        self.cells, self.top = cells, top
        self.votes, self.noise = votes, noise

    def encode_references(self, references: Tensor) -> ReferenceMemory:
        """Encode references, once for a film or a shot.

        Args:
            references: (B, R, 3, H, W), CIELAB; any size.

        Returns:
            Every position of all of them as one memory.
        """
        count = references.shape[1]
        lab, _ = ops.pad_to_multiple(references.flatten(0, 1), MULTIPLE)
        memory = gather(self.embed(lab[:, :1]), lab, count, cells)
        patches = cells(ops.patches(lab, STRIDE)).unflatten(0, (-1, count)).flatten(1, 2)
        # To half precision L is still known to 1 / 32.
        return replace(memory, patches=patches.half())

    def forward(self, luma: Tensor, memory: ReferenceMemory, last: Tensor | None = None) -> Match:
        """Find colour for frames.

        Args:
            luma: (B, 1, H, W), L in [0, 100]; any size.
            memory: what `encode_references` made of the references.
            last: the frame before, as in `SwinTExCo`; not used.
        """
        view = self._encode(luma)
        return self._read(view, memory, self._search(view, memory))

    def match(self, luma: Tensor, memories: Sequence[ReferenceMemory], last: Tensor | None = None) -> list[Match]:
        """`forward` for each of several memories, with votes where they have patches; the frame is encoded once."""
        view = self._encode(luma)
        votes = any(memory.patches is not None for memory in memories)
        own = cells(ops.patches(view.luma, STRIDE)) if votes else None
        matches = []
        for memory in memories:
            found = self._search(view, memory)
            match = self._read(view, memory, found)
            if own is not None and memory.patches is not None:
                match = replace(match, voted=self._vote(view, own, memory.patches, found, match.source))
            matches.append(match)
        return matches

    def _encode(self, luma: Tensor) -> "_View":
        padded, padding = ops.pad_to_multiple(luma, MULTIPLE)
        return _View(padded, padding, cells(self.embed(padded)))

    @property
    def _temperature(self) -> Tensor:
        return self.log_temperature.exp().clamp(min=0.005)

    def _search(self, view: "_View", memory: ReferenceMemory) -> ops.Matches:
        return ops.match_cells(view.queries, memory.keys, memory.lab, self._temperature, self.cells, self.top)

    def _read(self, view: "_View", memory: ReferenceMemory, found: ops.Matches) -> Match:
        """The mean of what was found, and how far to trust it."""
        lab = uncells(found.values, view.grid)
        gray = F.avg_pool2d(view.luma, STRIDE)
        similarity = uncells(found.similarity[..., :1], view.grid).clamp(min=0)
        coarse = torch.cat([lab[:, 1:], similarity, (lab[:, :1] - gray).abs()], dim=1)
        enlarged = F.interpolate(coarse, scale_factor=float(STRIDE), mode="bilinear")
        ab, similarity, difference = enlarged.split([2, 1, 1], dim=1)
        ab = self.refine(view.luma, ab, similarity)
        crop = view.padding.crop
        return Match(crop(ab), crop(similarity), crop(difference), crop(view.source(memory, found)))

    @torch.no_grad()
    def _vote(self, view: "_View", own: Tensor, patches: Tensor, found: ops.Matches, source: Tensor) -> Match:
        """Single pixels around the best of what was found."""
        best = (found.place[..., : self.votes], found.similarity[..., : self.votes])
        parts = zip(*(x.split(_CHUNK, dim=1) for x in (own, *best)), strict=True)
        votes = [ops.vote(a, patches, b, c, self._temperature, self.noise) for a, b, c in parts]
        ab, similarity, difference = ops.elect(uncells(torch.cat(votes, dim=1), view.grid), STRIDE)
        crop = view.padding.crop
        return Match(crop(ab), crop(similarity.clamp(min=0)), crop(difference), source)


class _View(NamedTuple):
    """A frame as it is searched for."""

    luma: Tensor  # (B, 1, H', W'), padded
    padding: ops.Padding
    queries: Tensor  # (B, N, C), in the order of `cells`

    @property
    def grid(self) -> tuple[int, int]:
        """Positions in a column and in a row."""
        return self.luma.shape[-2] // STRIDE, self.luma.shape[-1] // STRIDE

    def source(self, memory: ReferenceMemory, found: ops.Matches) -> Tensor:
        """(B, 1, H', W'), int64: see `Match`."""
        image = uncells(memory.image[found.place[..., :1]], self.grid)
        return F.interpolate(image.float(), scale_factor=float(STRIDE), mode="nearest").long()

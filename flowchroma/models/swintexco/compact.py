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
from flowchroma.models.swintexco.tokens import STRIDE, from_cells, normalized, reference_memory, to_cells, tokens
from flowchroma.models.trunks.frozen import FrozenTrunk
from flowchroma.types import Match

MULTIPLE = 16  # the deepest level is a sixteenth of the frame
_WIDTHS = {"relu2_2": 32, "relu3_3": 64, "relu4_3": 64}  # of VGG16


class MatchingFeatures(nn.Module):
    """Unit-length features of a gray frame at a quarter of its size, for cosine similarity.

    Each level of the trunk is centred over the frame and projected to few channels.

    Attributes:
        fitted: whether `fit` was called.

    Args:
        trunk: frozen features of RGB in [0, 1], by name.
        widths: channels that each of the trunk's levels contributes, by name.
        shrink: how much smaller the trunk sees the frame, 1 or 2. VGG16 matches better at half size, where its
            receptive field is larger, at a quarter of the cost. A quarter of the frame's size must be a level's.

    Raises:
        ValueError: the trunk has no such level.
    """

    def __init__(self, trunk: FrozenTrunk, widths: Mapping[str, int] = _WIDTHS, shrink: int = 2) -> None:
        super().__init__()
        self.trunk, self.shrink = trunk, shrink
        channels = trunk.channels
        if unknown := [name for name in widths if name not in channels]:
            raise ValueError(f"the trunk has no level {', '.join(unknown)}: it has {', '.join(channels)}")
        projections = {name: nn.Conv2d(channels[name], width, 1, bias=False) for name, width in widths.items()}
        for projection in projections.values():
            nn.init.orthogonal_(projection.weight)
        self.levels = nn.ModuleDict(projections)
        self.gains = nn.Parameter(torch.ones(len(widths)))
        self.register_buffer("fitted", torch.tensor(False))

    def forward(self, luma: Tensor) -> Tensor:
        """(B, 1, H, W), L in [0, 100], sides multiples of 16, to (B, C, H / 4, W / 4)."""
        features = self._features(luma)
        grid = [side // STRIDE for side in luma.shape[-2:]]
        projected = (ops.unit_length(level(features[name])) for name, level in self.levels.items())
        enlarged = (ops.unit_length(F.interpolate(x, size=grid, mode="bilinear")) for x in projected)
        return ops.unit_length(torch.cat([g * x for g, x in zip(self.gains, enlarged, strict=True)], dim=1))

    @torch.no_grad()
    def fit(self, frames: Iterable[Tensor]) -> None:
        """Project onto the principal components of the trunk's features, which match well before any training.

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
        if self.shrink > 1:
            luma = F.interpolate(luma, scale_factor=1 / self.shrink, mode="bilinear", antialias=True)
        features = self.trunk((luma / 100).expand(-1, 3, -1, -1))
        return {name: normalized(features[name]) for name in self.levels}


class Refinement(nn.Module):
    """Corrects matched colour, whose edges are coarse, by the luminance; computed at half of the frame's size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, 8, 3, padding=1)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(16, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            last,
            nn.PixelShuffle(2),
        )
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)

    def forward(self, luma: Tensor, ab: Tensor, similarity: Tensor) -> Tensor:
        """(B, 1 | 2 | 1, H, W), even sides, to refined ab, (B, 2, H, W). The identity on ab before training."""
        correction = self.layers(torch.cat([scale_luma(luma), scale_ab(ab), similarity], dim=1))
        return ab + unscale_ab(correction.to(ab.dtype))


class SwinTExCoSmall(nn.Module):
    """Colour by matching a gray frame against references, from coarse to fine.

    Attributes:
        averages: whether the mean of matches is computed where votes are read; without it these stand for it.
        search_dtype: in which cells are compared.

    Args:
        trunk: see `MatchingFeatures`.
        widths: likewise.
        shrink: likewise.
        temperature: of the matching at the start of training; it is learned.
        refine_width: see `Refinement`.
        cells: see `ops.match_coarse_to_fine`.
        top: see `ops.match_coarse_to_fine`.
        votes: best matches of each position whose patches are compared by pixel, at most `top`; see `ops.patch_votes`.
        noise: see `ops.patch_votes`.
    """

    def __init__(
        self,
        trunk: FrozenTrunk,
        widths: Mapping[str, int] = _WIDTHS,
        shrink: int = 2,
        temperature: float = 0.03,
        refine_width: int = 32,
        cells: int = 8,
        top: int = 8,
        votes: int = 3,
        noise: float = 2.0,
    ) -> None:
        super().__init__()
        self.embed = MatchingFeatures(trunk, widths, shrink)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.refine = Refinement(refine_width)
        self.cells, self.top = cells, top
        self.votes, self.noise = votes, noise
        self.averages, self.search_dtype = True, torch.float32

    def encode_references(self, references: Tensor, features: Tensor | None = None) -> ReferenceMemory:
        """Encode references (B, R, 3, H, W), CIELAB, of any size: every position of all of them as one memory.

        `features` are `Match.features` of a frame that is a reference now, where a match gave them; R is 1 then.
        """
        count = references.shape[1]
        lab, _ = ops.pad_to_multiple(references.flatten(0, 1), MULTIPLE)
        memory = reference_memory(self.embed(lab[:, :1]) if features is None else features, lab, count, to_cells)
        patches = to_cells(ops.extract_patches(lab, STRIDE)).unflatten(0, (-1, count)).flatten(1, 2)
        # To half precision L is still known to 1 / 32.
        return replace(memory, patches=patches.half(), cells=ops.cell_keys(memory.keys).to(self.search_dtype))

    def features(self, luma: Tensor) -> Tensor:
        """What a frame (B, 1, H, W), L in [0, 100], is compared by: (B, C, H / 4, W / 4), of unit length."""
        return self.embed(ops.pad_to_multiple(luma, MULTIPLE)[0])

    def forward(self, luma: Tensor, memory: ReferenceMemory, last: Tensor | None = None) -> Match:
        """Find colour for frames (B, 1, H, W), L in [0, 100], of any size; `last` is not used."""
        frame = self._encode(luma)
        return self._averaged(frame, memory, self._matches(frame, memory))

    def match(self, luma: Tensor, memories: Sequence[ReferenceMemory], last: Tensor | None = None) -> list[Match]:
        """`forward` for each of several memories, `Match.voted` for those with patches; the frame is encoded once."""
        frame = self._encode(luma)
        voting = any(memory.patches is not None for memory in memories)
        patches = tokens(ops.extract_patches(frame.luma, STRIDE)) if voting else None
        found = []
        for memory in memories:
            if patches is None or memory.patches is None:
                match = self._averaged(frame, memory, self._matches(frame, memory))
            elif self.averages:
                matches = self._matches(frame, memory)
                match = self._averaged(frame, memory, matches)
                match = replace(match, voted=self._voted(frame, patches, memory, matches))
            else:
                voted = self._voted(frame, patches, memory, self._matches(frame, memory, self.votes))
                match = replace(voted, voted=voted)
            found.append(replace(match, features=frame.features))
        return found

    def _encode(self, luma: Tensor) -> "_EncodedFrame":
        padded, padding = ops.pad_to_multiple(luma, MULTIPLE)
        features = self.embed(padded)
        return _EncodedFrame(padded, padding, features, to_cells(features))

    @property
    def _temperature(self) -> Tensor:
        return self.log_temperature.exp().clamp(min=0.005)

    def _matches(self, frame: "_EncodedFrame", memory: ReferenceMemory, top: int | None = None) -> ops.Matches:
        """The best matches; with `top`, so many of them, whose colours are not read."""
        values = memory.lab if top is None else memory.lab[..., :0]
        how = (self._temperature, self.cells, self.top if top is None else min(top, self.top))
        return ops.match_coarse_to_fine(frame.queries, memory.keys, values, *how, coarse=memory.cells)

    def _averaged(self, frame: "_EncodedFrame", memory: ReferenceMemory, matches: ops.Matches) -> Match:
        """The weighted mean of the matches' colours."""
        lab = from_cells(matches.values, frame.grid)
        gray = F.avg_pool2d(frame.luma, STRIDE)
        similarity = from_cells(matches.similarity[..., :1], frame.grid).clamp(min=0)
        coarse = torch.cat([lab[:, 1:], similarity, (lab[:, :1] - gray).abs()], dim=1)
        enlarged = F.interpolate(coarse, scale_factor=float(STRIDE), mode="bilinear")
        ab, similarity, difference = enlarged.split([2, 1, 1], dim=1)
        ab = self.refine(frame.luma, ab, similarity)
        crop = frame.padding.crop
        return Match(crop(ab), crop(similarity), crop(difference), crop(frame.source(memory, matches)))

    @torch.no_grad()
    def _voted(self, frame: "_EncodedFrame", patches: Tensor, memory: ReferenceMemory, matches: ops.Matches) -> Match:
        """Colour that the patches around the best matches vote for, pixel by pixel."""
        best = (x[..., : self.votes] for x in (matches.place, matches.similarity))
        place, similarity = (tokens(from_cells(x, frame.grid)) for x in best)
        assert memory.patches is not None
        votes = ops.patch_votes(patches, memory.patches, place, similarity, self._temperature, self.noise)
        grid = votes.transpose(1, 2).unflatten(2, frame.grid)
        ab, similarity, difference = ops.merge_votes(grid, STRIDE)
        crop = frame.padding.crop
        return Match(crop(ab), crop(similarity.clamp(min=0)), crop(difference), crop(frame.source(memory, matches)))


class _EncodedFrame(NamedTuple):
    """A frame that is to be coloured, as it is matched."""

    luma: Tensor  # (B, 1, H', W'), padded
    padding: ops.Padding
    features: Tensor  # (B, C, H' / 4, W' / 4), of unit length
    queries: Tensor  # the same, (B, N, C), in the order of `to_cells`

    @property
    def grid(self) -> tuple[int, int]:
        """Positions in a column and in a row."""
        return self.luma.shape[-2] // STRIDE, self.luma.shape[-1] // STRIDE

    def source(self, memory: ReferenceMemory, matches: ops.Matches) -> Tensor:
        """(B, 1, H', W'), int64: the reference that each pixel's best match is of."""
        image = from_cells(memory.image[matches.place[..., :1]], self.grid)
        return F.interpolate(image.float(), scale_factor=float(STRIDE), mode="nearest").long()

"""The compact sibling of SwinTExCo (Tran et al., Expert Systems with Applications 260, 2025)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import scale_ab, scale_luma, unscale_ab
from flowchroma.models.swintexco.tokens import STRIDE, gather, standard, tokens
from flowchroma.types import Match, ReferenceMemory

MULTIPLE = 16  # the deepest level is a sixteenth of the frame


class Embedding(nn.Module):
    """Unit-length features of a gray frame at a quarter of its size, made to be compared.

    The trunk sees the frame at half its size: its wider view matches better than full resolution does, at a quarter of
    the cost. Its two levels are centred over the frame and projected; a third, learned level at a sixteenth sees wider
    still.

    Args:
        trunk: frozen features of RGB in [0, 1], returned by name: `fine` at a half and `coarse` at a quarter of what it
            sees.
        fine: name and channels of the trunk's fine level.
        coarse: name and channels of its coarse level.
        widths: channels that each of the three levels contributes.
        context: hidden channels of the learned level.
    """

    def __init__(
        self,
        trunk: nn.Module,
        fine: tuple[str, int] = ("relu2_2", 128),
        coarse: tuple[str, int] = ("relu3_3", 256),
        widths: tuple[int, int, int] = (48, 64, 32),
        context: int = 64,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.fine_name, self.coarse_name = fine[0], coarse[0]
        self.fine = nn.Conv2d(fine[1], widths[0], 1, bias=False)
        self.coarse = nn.Conv2d(coarse[1], widths[1], 1, bias=False)
        self.wide = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Conv2d(coarse[1], context, 1),
            nn.GELU(),
            nn.Conv2d(context, context, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(context, context, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(context, widths[2], 1),
        )
        self.gains = nn.Parameter(torch.tensor([1.0, 1.0, 0.3]))
        # Orthogonal projections keep the trunk's similarities, so that matching works before it is trained.
        nn.init.orthogonal_(self.fine.weight)
        nn.init.orthogonal_(self.coarse.weight)

    def forward(self, luma: Tensor) -> Tensor:
        """(B, 1, H, W), L in [0, 100], sides multiples of 16, to (B, C, H / 4, W / 4)."""
        half = F.interpolate(luma, scale_factor=0.5, mode="bilinear", antialias=True)
        features = self.trunk((half / 100).expand(-1, 3, -1, -1))
        fine, coarse = features[self.fine_name], features[self.coarse_name]
        levels = (self.fine(standard(fine)), self.coarse(standard(coarse)), self.wide(coarse))
        grid = fine.shape[-2:]
        enlarged = (F.interpolate(standard(x), size=grid, mode="bilinear") for x in levels)
        return F.normalize(torch.cat([g * x for g, x in zip(self.gains, enlarged, strict=True)], dim=1), dim=1)


class Refinement(nn.Module):
    """Matched colour, drawn to the edges of the luminance.

    Args:
        width: channels at full size; twice as many at half.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(4, width, 3, padding=1), nn.GELU())
        self.down = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2),
            nn.GELU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=4, dilation=4),
            nn.GELU(),
        )
        self.join = nn.Sequential(nn.Conv2d(3 * width, width, 3, padding=1), nn.GELU())
        self.leave = nn.Conv2d(width, 2, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, luma: Tensor, ab: Tensor, similarity: Tensor) -> Tensor:
        """(B, 1 | 2 | 1, H, W), even sides, to refined ab, (B, 2, H, W). Starts as the identity on ab."""
        x = self.enter(torch.cat([scale_luma(luma), scale_ab(ab), similarity], dim=1))
        deep = F.interpolate(self.down(x), scale_factor=2.0, mode="bilinear")
        return ab + unscale_ab(self.leave(self.join(torch.cat([x, deep], dim=1))).to(ab.dtype))


class SwinTExCoSmall(nn.Module):
    """Colour by matching a gray frame against references.

    Args:
        trunk: see `Embedding`.
        temperature: of the matching at the start of training; it is learned.
        refine_width: see `Refinement`.
    """

    def __init__(self, trunk: nn.Module, temperature: float = 0.03, refine_width: int = 24) -> None:
        super().__init__()
        self.embed = Embedding(trunk)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.refine = Refinement(refine_width)

    def remember(self, references: Tensor) -> ReferenceMemory:
        """Encode references, once for a film or a shot.

        Args:
            references: (B, R, 3, H, W), CIELAB; any size.

        Returns:
            Every position of all of them as one memory.
        """
        count = references.shape[1]
        lab, _ = ops.pad_to_multiple(references.flatten(0, 1), MULTIPLE)
        return gather(self.embed(lab[:, :1]), lab, count)

    def forward(self, luma: Tensor, memory: ReferenceMemory, last: Tensor | None = None) -> Match:
        """Find colour for frames.

        Args:
            luma: (B, 1, H, W), L in [0, 100]; any size.
            memory: what `remember` made of the references.
            last: the frame before, as in `SwinTExCo`; not used.
        """
        padded, padding = ops.pad_to_multiple(luma, MULTIPLE)
        queries = self.embed(padded)
        grid = queries.shape[-2:]
        temperature = self.log_temperature.exp().clamp(min=0.005)
        colours, best = ops.match(tokens(queries), memory.keys, memory.ab, temperature)
        ab, similarity = (
            F.interpolate(x.transpose(1, 2).unflatten(2, grid), scale_factor=float(STRIDE), mode="bilinear")
            for x in (colours, best.clamp(min=0))
        )
        return Match(padding.crop(self.refine(padded, ab, similarity)), padding.crop(similarity))

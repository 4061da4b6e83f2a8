"""From the coarse grid to half a frame: corrections that a network picks among those that the light proposes."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.models.memflow.iterates import FineFlow
from flowchroma.models.memflow.layout import fast
from flowchroma.models.memflow.update import Pointwise
from flowchroma.ops import light

_CELL = 2  # pixels a side that share a hidden state
_DAMPING = 0.02  # of the squared gradient of normalised luminance
_REACH = 2.0  # pixels: the longest step that the light may propose
_FAR = 8.0  # pixels: the longest step to the dominant motion
_SPREAD = (1, 3)  # dilations of the last averages
_PROPOSED = 3  # channels of a proposed step: itself, and how well it is known


class Refiner(nn.Module):
    """Corrects a flow at a quarter and at half of the frame's size.

    Several estimates of the missing motion lie beside each other at every pixel: the least-squares steps of Lucas and
    Kanade over windows of several sizes, and the way to the `ops.dominant_motion` of the frame. A small network that
    sees them, what each leaves unexplained, and its own hidden state mixes them by a softmax, adds a correction of its
    own, and then averages the flow over nine neighbours, twice, by weights that it gives every pixel, as the convex
    enlargement of RAFT does (Teed and Deng, ECCV 2020, section 3.3). It is the same network at every scale and step.
    Enlarged by weights of its own (`ops.between_upsample`), the flow is `ops.polish`ed, as far as the network trusts
    that.

    Args:
        hidden: channels of the hidden state that the coarse grid hands over, and of all layers.
        scales: by which the frame is shrunk, falling, the last one 2.
        steps: at each scale.
        radii: of the windows, in pixels of the shrunk frame.
        dilations: of the residual blocks.
    """

    def __init__(
        self,
        hidden: int = 32,
        scales: Sequence[int] = (4, 2),
        steps: Sequence[int] = (1, 2),
        radii: Sequence[int] = (2, 5),
        dilations: Sequence[int] = (1, 2, 4),
    ) -> None:
        super().__init__()
        self.scales, self.steps, self.radii = tuple(scales), tuple(steps), tuple(radii)
        seen = 7 + _PROPOSED * len(radii)
        self.split = [len(radii) + 2, 2, *(9 for _ in _SPREAD)]
        cell = _CELL**2
        self.enter = nn.Conv2d(seen, hidden, _CELL, stride=_CELL)
        self.recall = Pointwise(hidden, hidden, bias=False)
        self.body = nn.Sequential(*(_Block(hidden, dilation) for dilation in dilations))
        self.answer = nn.Conv2d(hidden, cell * sum(self.split), 1)
        self.enlarge = nn.Conv2d(hidden, 4 * cell * 4, 1)
        self.settle = nn.Conv2d(hidden, cell, 1)
        # Untrained it averages its proposals, and keeps the flow's edges.
        shares = torch.zeros(sum(self.split))
        for index in range(len(_SPREAD)):
            shares[len(radii) + 4 + 9 * index + 4] = 3.0
        for layer in (self.answer, self.enlarge, self.settle):
            nn.init.zeros_(layer.weight)
        self.answer.bias = nn.Parameter(shares.repeat_interleave(cell))
        for layer in (self.enlarge, self.settle):
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))

    def forward(self, flow: Tensor, hidden: Tensor, luma: light.Luma, previous: light.Luma) -> FineFlow:
        """Correct a coarse flow.

        Args:
            flow: (B, 2, H / 8, W / 8), in coarse pixels.
            hidden: (B, hidden, H / 8, W / 8).
            luma: (B, 1, H, W), L in [0, 100]; H and W multiples of 8.
            previous: the same, of the frame that the flow points to.

        Returns:
            See `FineFlow`. Between steps the flow is detached.
        """
        now, then = light.Pyramid.of(luma), light.Pyramid.of(previous)
        dominant = ops.dominant_motion(now, then)
        steadied = light.Pyramid(ops.backward_warp(then.luma, dominant))
        flows = []
        for scale, count in zip(self.scales, self.steps, strict=True):
            frame, other = now.normalised(scale), steadied.normalised(scale)
            size = frame.shape[-2:]
            shared = ops.resized(dominant, size)
            flow = ops.resized(flow.to(frame.dtype), size)
            cells = [side // _CELL for side in size]
            if hidden.shape[-2:] != torch.Size(cells):
                hidden = F.interpolate(hidden, size=cells, mode="bilinear")
            for _ in range(count):
                flow = flow.detach()
                warped = then.warped(scale, flow)
                proposals, known = self._proposals(frame, warped)
                to_shared = (shared - flow).clamp(-_FAR, _FAR)
                seen = [frame, warped, frame - other, flow / 8, to_shared / 4, *proposals, *known]
                hidden, flow = self._corrected(torch.cat(seen, dim=1), hidden, flow, [*proposals, to_shared])
                flows.append(flow)
        flow, weights = self._enlarged(flow, hidden)
        trusted = F.interpolate(_pixels(self.settle, hidden).to(flow.dtype).sigmoid(), scale_factor=2)
        polished = ops.polish(flow.detach(), now, then)
        return FineFlow(torch.addcmul(flow, trusted, polished - flow.detach()), polished, weights, flows)

    @torch.no_grad()
    def _proposals(self, frame: Tensor, warped: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Steps (B, 2, h, w) and how well each is known (B, 1, h, w), for every window."""
        equations = light.equations(frame, warped)
        solved = [light.solved(ops.window_mean(equations, radius), _DAMPING) for radius in self.radii]
        return [step.clamp(-_REACH, _REACH) for step, _ in solved], [known.log() / 2 for _, known in solved]

    def _corrected(
        self, seen: Tensor, hidden: Tensor, flow: Tensor, proposals: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        entered = self.enter(fast(seen.to(hidden.dtype)))
        hidden = self.body((entered + self.recall(fast(hidden))).relu_())
        answer = _pixels(self.answer, hidden).to(flow.dtype)
        shares, own, *averages = answer.split(self.split, dim=1)
        shares = shares.softmax(dim=1)  # the last share stands still
        flow = flow + own
        for index, proposal in enumerate(proposals):
            flow = torch.addcmul(flow, shares[:, index : index + 1], proposal)
        for weights, dilation in zip(averages, _SPREAD, strict=True):
            flow = _averaged(flow, weights.softmax(dim=1), dilation)
        return hidden, flow

    def _enlarged(self, flow: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights = _pixels(self.enlarge, hidden).to(flow.dtype).unflatten(1, (4, 2, 2)).softmax(dim=1)
        return ops.between_upsample(flow, weights), weights


class _Block(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = Pointwise(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.conv2(self.conv1(x).relu_())).relu_()


def _pixels(layer: nn.Conv2d, hidden: Tensor) -> Tensor:
    """Apply a 1x1 convolution whose channels are those of the pixels of a cell.

    It is written as the product of matrices that gives channels first from channels last.
    """
    assert layer.bias is not None
    weight = layer.weight.flatten(1)
    planes = torch.baddbmm(layer.bias[:, None], weight.expand(len(hidden), -1, -1), hidden.flatten(2))
    parts = planes.unflatten(2, hidden.shape[-2:]).unflatten(1, (-1, _CELL, _CELL))
    pixels = parts.new_empty(len(parts), parts.shape[1], *(side * _CELL for side in hidden.shape[-2:]))
    for row, column in itertools.product(range(_CELL), repeat=2):
        pixels[..., row::_CELL, column::_CELL] = parts[:, :, row, column]
    return pixels


def _averaged(flow: Tensor, weights: Tensor, dilation: int) -> Tensor:
    """(B, 2, h, w), each pixel the mean of nine, `dilation` apart, by its weights (B, 9, h, w)."""
    height, width = flow.shape[-2:]
    padded = F.pad(flow, (dilation,) * 4, mode="replicate")
    mean = torch.zeros_like(flow)
    for index in range(9):
        top, left = (dilation * place for place in divmod(index, 3))
        neighbour = padded[..., top : top + height, left : left + width]
        mean = torch.addcmul(mean, neighbour, weights[:, index : index + 1])
    return mean

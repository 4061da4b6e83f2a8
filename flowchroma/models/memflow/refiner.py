"""From the coarse grid to half of the frame's size: least-squares corrections of the flow, weighed by a network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.models.memflow.encoder import fast
from flowchroma.models.memflow.iterates import FineFlow
from flowchroma.models.memflow.update import Pointwise
from flowchroma.ops import luminance

_CELL = 2  # pixels a side that share a hidden state
_DAMPING = 0.02  # of the squared gradient of normalised luminance
_LONGEST_STEP = 2.0  # pixels, of a least-squares step along an axis
_LONGEST_TO_DOMINANT = 8.0  # pixels, of a step to the dominant motion along an axis
_DILATIONS = (1, 3)  # of the averages over nine neighbours that end a step
_STEP_CHANNELS = 3  # a step, and the logarithm of its certainty


class Refiner(nn.Module):
    """Corrects a flow at a quarter and at half of the frame's size.

    Every pixel has several candidates for a correction: the least-squares steps of Lucas and Kanade over windows of
    several sizes, the difference to the frame's `ops.dominant_motion`, and none. From these, both frames and its hidden
    state, a small network gives every pixel the candidates' weights (a softmax), a correction of its own, and weights
    of nine neighbours, over which the flow is then averaged, twice, as in the convex upsampling of RAFT (Teed and Deng,
    ECCV 2020, section 3.3). The same network does every step at every scale. The result is enlarged by weights of its
    own (`ops.convex_upsample_2x`) and moved towards its `ops.refine_flow`ed form by a weight in [0, 1] of every pixel.

    Args:
        hidden: channels of the coarse grid's hidden state, and of all layers.
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
        if len(scales) != len(steps) or {*scales} - {8, 4, 2} or [*scales][-1:] != [2] or min(steps) < 0:
            raise ValueError("scales are 8, 4 or 2, the last one 2, each with a number of steps")
        self.scales, self.steps, self.radii = tuple(scales), tuple(steps), tuple(radii)
        inputs = 7 + _STEP_CHANNELS * len(radii)
        self.split = [len(radii) + 2, 2, *(9 for _ in _DILATIONS)]
        cell = _CELL**2
        self.enter = nn.Conv2d(inputs, hidden, _CELL, stride=_CELL)
        self.recall = Pointwise(hidden, hidden, bias=False)
        self.body = nn.Sequential(*(_Block(hidden, dilation) for dilation in dilations))
        self.answer = nn.Conv2d(hidden, cell * sum(self.split), 1)
        self.enlarge = nn.Conv2d(hidden, 4 * cell * 4, 1)
        self.settle = nn.Conv2d(hidden, cell, 1)
        # An untrained network takes the mean of the candidates, and hardly blurs the flow.
        bias = torch.zeros(sum(self.split))
        for index in range(len(_DILATIONS)):
            bias[len(radii) + 4 + 9 * index + 4] = 3.0
        for layer in (self.answer, self.enlarge, self.settle):
            nn.init.zeros_(layer.weight)
        self.answer.bias = nn.Parameter(bias.repeat_interleave(cell))
        for layer in (self.enlarge, self.settle):
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))

    def forward(self, flow: Tensor, hidden: Tensor, luma: luminance.Luma, previous: luminance.Luma) -> FineFlow:
        """Correct a coarse flow.

        Args:
            flow: (B, 2, H / 8, W / 8), in coarse pixels.
            hidden: (B, hidden, H / 8, W / 8).
            luma: (B, 1, H, W), L in [0, 100]; H and W multiples of 8.
            previous: the same, of the frame that the flow points to.

        Returns:
            The flow in pixels; `weights` are those of four neighbours. Between steps the flow is detached.
        """
        frame, before = luminance.Pyramid.of(luma), luminance.Pyramid.of(previous)
        dominant = ops.dominant_motion(frame, before)
        steadied = luminance.Pyramid(ops.backward_warp(before.luma, dominant))
        flows = []
        for scale, count in zip(self.scales, self.steps, strict=True):
            shrunk, shrunk_steadied = frame.normalised(scale), steadied.normalised(scale)
            size = shrunk.shape[-2:]
            shrunk_dominant = ops.rescale_flow(dominant, size)
            flow = ops.rescale_flow(flow.to(shrunk.dtype), size)
            cells = [side // _CELL for side in size]
            if hidden.shape[-2:] != torch.Size(cells):
                hidden = F.interpolate(hidden, size=cells, mode="bilinear")
            for _ in range(count):
                flow = flow.detach()
                warped = before.warped(scale, flow)
                steps, certainties = self._least_squares(shrunk, warped)
                to_dominant = (shrunk_dominant - flow).clamp(-_LONGEST_TO_DOMINANT, _LONGEST_TO_DOMINANT)
                inputs = [shrunk, warped, shrunk - shrunk_steadied, flow / 8, to_dominant / 4, *steps, *certainties]
                hidden, flow = self._corrected(torch.cat(inputs, dim=1), hidden, flow, [*steps, to_dominant])
                flows.append(flow)
        flow, weights = self._enlarged(flow, hidden)
        weight = F.interpolate(_pixels(self.settle, hidden).to(flow.dtype).sigmoid(), scale_factor=2)
        refined = ops.refine_flow(flow.detach(), frame, before)
        return FineFlow(torch.addcmul(flow, weight, refined - flow.detach()), refined, weights, flows)

    @torch.no_grad()
    def _least_squares(self, frame: Tensor, warped: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Steps (B, 2, h, w), in pixels, and log certainties (B, 1, h, w), of every window."""
        equations = luminance.normal_equations(frame, warped)
        solved = [luminance.solve(ops.window_mean(equations, radius), _DAMPING) for radius in self.radii]
        steps, certainties = zip(*solved, strict=True)
        return [s.clamp(-_LONGEST_STEP, _LONGEST_STEP) for s in steps], [c.log() / 2 for c in certainties]

    def _corrected(
        self, inputs: Tensor, hidden: Tensor, flow: Tensor, candidates: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        entered = self.enter(fast(inputs.to(hidden.dtype)))
        hidden = self.body((entered + self.recall(fast(hidden))).relu_())
        answer = _pixels(self.answer, hidden).to(flow.dtype)
        weights, own, *averages = answer.split(self.split, dim=1)
        weights = weights.softmax(dim=1)  # the last is of no correction
        flow = flow + own
        for index, candidate in enumerate(candidates):
            flow = torch.addcmul(flow, weights[:, index : index + 1], candidate)
        for neighbours, dilation in zip(averages, _DILATIONS, strict=True):
            flow = _averaged(flow, neighbours.softmax(dim=1), dilation)
        return hidden, flow

    def _enlarged(self, flow: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights = _pixels(self.enlarge, hidden).to(flow.dtype).unflatten(1, (4, 2, 2)).softmax(dim=1)
        return ops.convex_upsample_2x(flow, weights), weights


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
    parts = planes.unflatten(2, hidden.shape[-2:]).unflatten(1, (-1, _CELL**2))
    return ops.interleave(parts.unbind(2))


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

"""MemFlow: optical flow with a memory of past motion (Dong and Fu, CVPR 2024)."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import scale_luma
from flowchroma.models.memflow.confidence import Confidence, Evidence, Photometric
from flowchroma.models.memflow.encoder import NORMS, Encoder
from flowchroma.models.memflow.layout import fast
from flowchroma.models.memflow.refiner import Refined, Refiner
from flowchroma.models.memflow.update import Update
from flowchroma.models.state import FlowState
from flowchroma.ops import light
from flowchroma.types import Flow

STRIDE = 8


class Encoded(NamedTuple):
    """What a frame contributes to a pair, on the coarse grid."""

    features: Tensor  # (B, C, h, w)
    hidden: Tensor  # (B, D, h, w), the hidden state's start
    context: Tensor  # (B, D, h, w)
    query: Tensor  # (B, h * w, D)
    key: Tensor  # (B, n, D), of pooled positions


class Iterate(NamedTuple):
    """The state after an iteration."""

    flow: Tensor  # (B, 2, h, w), in coarse pixels
    hidden: Tensor  # (B, D, h, w)
    value: Tensor  # (B, n, D), from the flow that entered the iteration
    correlation: ops.Correlation  # of the two frames


class _QueryKey(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_qk = nn.Conv2d(channels, 2 * channels, 1, bias=False)


class MemFlow(nn.Module):
    """Backward flow of a film's luminance, frame by frame, with a memory of bounded size.

    The flow of frame t points to frame t - 1: `colour_t(p) = colour_{t-1}(p + flow(p))`. The network sees the luminance
    `channels` times over, never the colour.

    Args:
        channels: how often the luminance is repeated (3 fits published RGB weights).
        widths: channels of the encoders' three stages.
        blocks: residual blocks a stage.
        strides: of an encoder's first convolution and of its stages, 8 in all.
        context_norm: normalisation of the context encoder, "batch" or "instance".
        features: channels of the features that are correlated.
        hidden: channels of hidden state, context, motion features and attention.
        levels: scales of the correlation.
        radius: of its lookup.
        motion_widths: see `update.MotionEncoder`.
        mask_width: see `update.Update`; not used with a refiner, which moves and enlarges the flow itself.
        kernels: see `update.Update`.
        expansion: see `update.ConvBlock`.
        iterations: refinements of each flow.
        memory_frames: past frames whose motion is remembered.
        memory_pool: side of the square of coarse pixels that share a key and a value; 1 as published.
        average_tokens: number of attention keys that the scale of the memory read is normalised to.
        volume_limit: MiB that the correlation of all pairs, and the table of attention weights, may each take; beyond
            it they are computed piece by piece, to the same numbers, more slowly and in less memory. At 512 a step
            of the published network at 1920 x 1080 stays below 2 GiB resident on a CPU, libraries included.
        start: gives each pair's first flow from the luminance of its frames, of any size and in its own pixels, as
            `ops.lucas_kanade` does; zero, as published, without it.
        refiner: takes the first flow and the hidden state on to finer grids. The coarse grid then leaves the flow as it
            is: corrections that it learned on small frames led larger ones astray. Without a refiner the coarse flow
            is corrected and enlarged at once, as published.
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        widths: Sequence[int] = (64, 96, 128),
        blocks: int = 2,
        strides: Sequence[int] = (2, 1, 2, 2),
        context_norm: str = "batch",
        features: int = 256,
        hidden: int = 128,
        levels: int = 4,
        radius: int = 4,
        motion_widths: Sequence[int] = (256, 192, 128, 64),
        mask_width: int = 256,
        kernels: Sequence[int] = (15, 7),
        expansion: float = 1.5,
        iterations: int = 15,
        memory_frames: int = 1,
        memory_pool: int = 1,
        average_tokens: int = 6624,
        volume_limit: float = 512,
        start: Callable[[light.Luma, light.Luma], Tensor] | None = None,
        refiner: Refiner | None = None,
        confidence: Confidence | None = None,
        cut: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.confidence, self.cut = confidence or Photometric(), cut
        self.start, self.refiner = start, refiner
        self.volume_limit, self.memory_pool = volume_limit, memory_pool
        self.channels, self.hidden, self.levels, self.radius = channels, hidden, levels, radius
        self.iterations, self.memory_frames, self.average_tokens = iterations, memory_frames, average_tokens
        self.fnet = Encoder(channels, widths, features, blocks, strides=strides)
        self.cnet = Encoder(channels, widths, 2 * hidden, blocks, NORMS[context_norm], strides)
        self.att = _QueryKey(hidden)
        c1, c2, f1, f2 = motion_widths
        self.update_block = Update(
            levels * (2 * radius + 1) ** 2,
            hidden,
            (c1, c2, f1, f2),
            mask_width if refiner is None else None,
            (kernels[0], kernels[1]),
            expansion,
        )
        # An untrained network leaves its first flow as it is.
        if self.update_block.flow_head is not None:
            for parameter in self.update_block.flow_head.ffn2[-1].parameters():
                nn.init.zeros_(parameter)

    def step(self, luma: Tensor, state: FlowState | None) -> tuple[Flow | None, FlowState]:
        """Take the next frame of a film.

        Args:
            luma: (B, 1, H, W), L in [0, 100].
            state: what the frame before left; None at a film's start and after a cut, where nothing before counts.

        Returns:
            The flow back to the frame before, and the state for the next frame, which was encoded once. There is no
            flow, and the state is that of a film's start, without a frame before and where every item of the batch
            cuts. Items that cut alone get confidence 0; what they remember fades with the memory.
        """
        padded, padding = self._pad(luma)
        now, seen = self.encode(padded), light.Pyramid(padded)
        cut = self.cut(padded, state.pyramid.luma) if self.cut and state is not None else None
        if state is None or (cut is not None and cut.all()):
            empty = now.key[:, :0]
            return None, FlowState(seen, now.features, empty, empty)
        start = self._first_flow(seen, state.pyramid)
        last = deque(self.refine(now, state.features, state.keys, state.values, start), maxlen=1).pop()
        found = self._judged(last, now, seen, state.pyramid)
        if cut is not None:
            found = replace(found, confidence=found.confidence * ~cut.view(-1, 1, 1, 1))
        polished = None if found.polished is None else padding.crop(found.polished)
        found = Flow(padding.crop(found.flow), padding.crop(found.confidence), polished)
        return found, self._remember(seen, now, last, state)

    def forward(self, luma: Tensor) -> list[list[Tensor]]:
        """Flows of a clip with every iteration of each, for training.

        Args:
            luma: (B, T, 1, H, W), L in [0, 100].

        Returns:
            For each frame from the second on, the iterates of its flow to the frame before: (B, 2, H, W) in pixels.
        """
        padded, padding = self._pad(luma.flatten(0, 1))
        whole = self.encode(padded)
        lumas = [light.Pyramid(frame) for frame in padded.unflatten(0, luma.shape[:2]).unbind(1)]
        frames = [
            Encoded(*parts) for parts in zip(*(x.unflatten(0, luma.shape[:2]).unbind(1) for x in whole), strict=True)
        ]
        empty = frames[0].key[:, :0]
        state = FlowState(lumas[0], frames[0].features, empty, empty)
        flows = []
        for frame, now in zip(lumas[1:], frames[1:], strict=True):
            start = self._first_flow(frame, state.pyramid)
            iterates = list(self.refine(now, state.features, state.keys, state.values, start))
            upsampled = self._in_pixels(iterates, frame, state.pyramid)
            flows.append([padding.crop(flow) for flow in upsampled])
            state = self._remember(frame, now, iterates[-1], state)
        return flows

    def encode(self, luma: Tensor) -> Encoded:
        """Encode frames (B, 1, H, W), L in [0, 100], H and W multiples of 8."""
        return self.encode_scaled(scale_luma(luma).expand(-1, self.channels, -1, -1))

    def encode_scaled(self, frame: Tensor) -> Encoded:
        """Encode what the published network takes: (B, channels, H, W) in [-1, 1]."""
        hidden, context = self.cnet(frame).split(self.hidden, dim=1)
        context = torch.relu(context)
        query, key = self.att.to_qk(context).split(self.hidden, dim=1)
        return Encoded(self.fnet(frame), torch.tanh(hidden), context, _tokens(query), self._pooled(key))

    def refine(
        self, first: Encoded, second: Tensor, keys: Tensor, values: Tensor, start: Tensor | None = None
    ) -> Iterator[Iterate]:
        """Estimate the flow from one frame to another, iteration by iteration.

        Args:
            first: the frame on whose grid the flow lies.
            second: (B, C, h, w), features of the frame that it points to.
            keys: (B, M, D), remembered keys; M may be 0.
            values: (B, M, D), remembered values.
            start: (B, 2, h, w), a flow in coarse pixels to begin with; 0 by default.

        Yields:
            Each iteration's result. The flow is detached between iterations.
        """
        update, dtype = self.update_block, first.hidden.dtype
        correlation = ops.correlate(first.features, second, self.levels, self.radius, self.volume_limit)
        height, width = second.shape[-2:]
        grid = ops.pixel_grid(height, width, like=second.to(torch.promote_types(second.dtype, torch.float32)))
        flow = torch.zeros_like(grid).expand(second.shape[0], -1, -1, -1) if start is None else start
        all_keys = torch.cat([keys, first.key], dim=1)
        scale = self.hidden**-0.5 * math.log(all_keys.shape[1]) / math.log(self.average_tokens)
        # A table of attention weights costs as much as four reads without one.
        table_limit = self.volume_limit if self.iterations > 4 else 0
        read = ops.MemoryRead(first.query, all_keys, values, scale, table_limit)
        hidden, context = fast(first.hidden), fast(first.context)
        for _ in range(self.iterations):
            flow = flow.detach()
            found = correlation.lookup(grid + flow)
            motion = update.encoder(fast(flow.to(dtype)), fast(found.to(dtype)))
            value = self._pooled(update.aggregator.to_v(motion))
            remembered = read(value).transpose(1, 2).unflatten(2, motion.shape[-2:])
            shared = motion + update.aggregator.gamma * remembered
            hidden = update.gru(torch.cat([hidden, context, motion, shared], dim=1))
            if update.flow_head is not None:
                flow = flow + update.flow_head(hidden).to(flow.dtype)
            yield Iterate(flow, hidden, value, correlation)

    def _upsample(self, iterate: Iterate, luma: light.Luma, previous: light.Luma) -> Refined:
        if self.refiner is not None:
            return self.refiner(iterate.flow, iterate.hidden, luma, previous)
        weights = self.update_block.upsampling_weights(iterate.hidden)
        return Refined(ops.convex_upsample(iterate.flow, weights, STRIDE), None, weights, [])

    def _in_pixels(self, iterates: Sequence[Iterate], luma: light.Pyramid, previous: light.Pyramid) -> list[Tensor]:
        """Every flow on the way to the last one, (B, 2, H, W)."""
        if self.refiner is None:
            return [self._upsample(iterate, luma, previous).flow for iterate in iterates]
        refined = self._upsample(iterates[-1], luma, previous)
        return [*(ops.resized(flow, refined.flow.shape[-2:]) for flow in refined.steps), refined.flow]

    def _judged(self, last: Iterate, now: Encoded, luma: light.Pyramid, previous: light.Pyramid) -> Flow:
        """Flow in pixels, and how far colour carried along it can be trusted."""

        def opposite(iterations: int) -> Tensor:
            before = self.encode(previous.luma)
            nothing = before.key[:, :0]
            refined = self.refine(before, now.features, nothing, nothing, self._first_flow(previous, luma))
            return self._upsample(deque(islice(refined, iterations), maxlen=1).pop(), previous, luma).flow

        refined = self._upsample(last, luma, previous)
        found = Flow(refined.flow, torch.ones_like(luma.luma), refined.polished)
        evidence = Evidence(
            luma.luma, previous.luma, found.carrier, last.flow, refined.weights, last.correlation, opposite
        )
        return replace(found, confidence=self.confidence(evidence))

    def _remember(self, luma: light.Pyramid, now: Encoded, last: Iterate, state: FlowState) -> FlowState:
        kept = self.memory_frames * now.key.shape[1]
        keys = torch.cat([state.keys, now.key], dim=1)
        values = torch.cat([state.values, last.value], dim=1)
        start = max(0, keys.shape[1] - kept)
        # Views would hold on to what is forgotten.
        return FlowState(luma, now.features, keys[:, start:].clone(), values[:, start:].clone())

    def _first_flow(self, luma: light.Pyramid, previous: light.Pyramid) -> Tensor | None:
        """On the coarse grid and in its pixels."""
        if self.start is None:
            return None
        height, width = luma.luma.shape[-2:]
        return ops.resized(self.start(luma, previous), (height // STRIDE, width // STRIDE))

    def _pooled(self, features: Tensor) -> Tensor:
        """(B, D, h, w) to (B, n, D)."""
        if self.memory_pool > 1:
            features = F.avg_pool2d(features, self.memory_pool, ceil_mode=True, count_include_pad=False)
        return _tokens(features)

    def _pad(self, luma: Tensor) -> tuple[Tensor, ops.Padding]:
        # A frame cut from interleaved channels would hand its layout on, and pooling would take three times as long.
        luma = luma.clone(memory_format=torch.contiguous_format)
        # The coarsest correlation level needs a pixel to read.
        return ops.pad_to_multiple(luma, STRIDE, at_least=STRIDE * 2 ** (self.levels - 1))


def _tokens(features: Tensor) -> Tensor:
    """(B, D, h, w) to (B, h * w, D)."""
    return features.flatten(2).transpose(1, 2)

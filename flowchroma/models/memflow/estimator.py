"""What both flow networks share: a film frame by frame, its padding, its cuts, its memory and its confidence."""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import scale_luma
from flowchroma.models.memflow.architecture import STRIDE, Architecture
from flowchroma.models.memflow.confidence import Confidence, Evidence, Photometric
from flowchroma.models.memflow.encoder import NORMS, Encoder, fast
from flowchroma.models.memflow.iterates import Encoded, FineFlow, Iterate
from flowchroma.models.memflow.update import Update
from flowchroma.models.state import FlowState
from flowchroma.ops import luminance
from flowchroma.types import Flow

FirstFlow = Callable[[luminance.Luma, luminance.Luma], Tensor]  # to a flow (B, 2, h, w), in its own pixels
Cut = Callable[[Tensor, Tensor], Tensor]  # (luma, previous) to (B,), bool


class _QueryKey(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_qk = nn.Conv2d(channels, 2 * channels, 1, bias=False)


class FlowEstimator(nn.Module, ABC):
    """Backward flow of a film's luminance, frame by frame, with a memory of bounded size.

    The flow of frame t points to frame t - 1: `colour_t(p) = colour_{t-1}(p + flow(p))`. The network gets the luminance
    `channels` times over, never the colour. A subclass adds encoders and update in its constructor, and says how the
    flow is corrected on the coarse grid and how it is brought to pixels.

    Args:
        architecture: of the networks.
        iterations: of the update, for each flow.
        memory_pool: side of the square of coarse pixels that share a key and a value; 1 as published.
        average_tokens: number of attention keys that the scale of the memory read is normalised to.
        memory_frames: past frames whose motion is remembered.
        volume_limit: MiB that the correlation of all pairs, and the table of attention weights, may each take; beyond
            it they are computed piece by piece, to the same numbers, more slowly and in less memory. At 512 a step
            of the published network at 1920 x 1080 stays below 2 GiB resident on a CPU, libraries included.
        start: gives each pair's first flow from the luminance of its frames, of any size and in its own pixels, as
            `ops.lucas_kanade` does; zero, as published, without it.
        confidence: says how far a flow can be trusted; `Photometric` by default.
        cut: says of which frames another scene begins, as `ops.is_cut` does; never, without it.
    """

    fnet: Encoder
    cnet: Encoder
    update_block: Update

    def __init__(
        self,
        architecture: Architecture,
        iterations: int,
        memory_pool: int,
        average_tokens: int,
        *,
        memory_frames: int = 1,
        volume_limit: float = 512,
        start: FirstFlow | None = None,
        confidence: Confidence | None = None,
        cut: Cut | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.hidden = architecture.channels, architecture.hidden
        self.levels, self.radius = architecture.levels, architecture.radius
        self.iterations, self.start = iterations, start
        self.memory_frames, self.memory_pool, self.average_tokens = memory_frames, memory_pool, average_tokens
        self.volume_limit = volume_limit
        self.confidence, self.cut = confidence or Photometric(), cut

    def _add_encoders(self, architecture: Architecture) -> None:
        self.fnet = Encoder(architecture, architecture.features)
        self.cnet = Encoder(architecture, 2 * architecture.hidden, NORMS[architecture.context_norm])
        self.att = _QueryKey(architecture.hidden)

    @abstractmethod
    def _corrected(self, flow: Tensor, hidden: Tensor) -> Tensor:
        """Flow on the coarse grid, (B, 2, h, w), after an iteration that ended in this hidden state, (B, D, h, w)."""

    @abstractmethod
    def _enlarged(self, iterate: Iterate, luma: luminance.Luma, previous: luminance.Luma) -> FineFlow:
        """Bring an iteration's flow to pixels."""

    @abstractmethod
    def _in_pixels(self, iterates: Sequence[Iterate], luma: luminance.Luma, previous: luminance.Luma) -> list[Tensor]:
        """Every flow that is trained, the last one last: (B, 2, H, W), in pixels."""

    def step(self, luma: Tensor, state: FlowState | None) -> tuple[Flow | None, FlowState]:
        """Estimate the flow of a film's next frame.

        Args:
            luma: (B, 1, H, W), L in [0, 100].
            state: what the frame before left; None at a film's start and after a cut, where nothing before counts.

        Returns:
            The flow back to the frame before, and the state for the next frame, which was encoded once. There is no
            flow, and the state is that of a film's start, without a frame before and where every item of the batch
            cuts. Items that cut alone get confidence 0; what they remember fades with the memory.
        """
        padded, padding = self._pad(luma)
        now, pyramid = self.encode(padded), luminance.Pyramid(padded)
        cut = self.cut(padded, state.pyramid.luma) if self.cut and state is not None else None
        if state is None or (cut is not None and cut.all()):
            empty = now.key[:, :0]
            return None, FlowState(pyramid, now.features, empty, empty)
        start = self._first_flow(pyramid, state.pyramid)
        last = deque(self.iterate(now, state.features, state.keys, state.values, start), maxlen=1).pop()
        flow = self._with_confidence(last, now, pyramid, state.pyramid)
        if cut is not None:
            flow = replace(flow, confidence=flow.confidence * ~cut.view(-1, 1, 1, 1))
        refined = None if flow.refined is None else padding.crop(flow.refined)
        flow = Flow(padding.crop(flow.flow), padding.crop(flow.confidence), refined)
        return flow, self._remember(pyramid, now, last, state)

    def between(self, luma: Tensor, previous: Tensor, keys: Tensor, values: Tensor) -> tuple[Flow, Tensor, Tensor]:
        """`step` for two frames that no cut parts, the one before encoded anew; nothing is padded.

        Args:
            luma: (B, 1, H, W), L in [0, 100]; H and W multiples of 8.
            previous: the same, of the frame before.
            keys: (B, M, D), remembered; M is 0 where nothing is.
            values: (B, M, D), likewise.

        Returns:
            The flow, and the keys and values for the next frame.
        """
        now, frame, before = self.encode(luma), luminance.Pyramid(luma), luminance.Pyramid(previous)
        features = self.fnet(scale_luma(previous).expand(-1, self.channels, -1, -1))
        start = self._first_flow(frame, before)
        last = deque(self.iterate(now, features, keys, values, start), maxlen=1).pop()
        flow = self._with_confidence(last, now, frame, before)
        after = self._remember(frame, now, last, FlowState(before, features, keys, values))
        return flow, after.keys, after.values

    def forward(self, luma: Tensor) -> list[list[Tensor]]:
        """Flows of a clip (B, T, 1, H, W), L in [0, 100], with every iteration of each, for training.

        Returns:
            For each frame from the second on, the iterates of its flow to the frame before: (B, 2, H, W) in pixels.
        """
        padded, padding = self._pad(luma.flatten(0, 1))
        whole = self.encode(padded)
        lumas = [luminance.Pyramid(frame) for frame in padded.unflatten(0, luma.shape[:2]).unbind(1)]
        frames = [
            Encoded(*parts) for parts in zip(*(x.unflatten(0, luma.shape[:2]).unbind(1) for x in whole), strict=True)
        ]
        empty = frames[0].key[:, :0]
        state = FlowState(lumas[0], frames[0].features, empty, empty)
        flows = []
        for frame, now in zip(lumas[1:], frames[1:], strict=True):
            start = self._first_flow(frame, state.pyramid)
            iterates = list(self.iterate(now, state.features, state.keys, state.values, start))
            flows.append([padding.crop(flow) for flow in self._in_pixels(iterates, frame, state.pyramid)])
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

    def iterate(
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
        read = self._memory_read(first.query, torch.cat([keys, first.key], dim=1), values)
        hidden, context = fast(first.hidden), fast(first.context)
        for _ in range(self.iterations):
            flow = flow.detach()
            found = correlation.lookup(grid + flow)
            motion = update.encoder(fast(flow.to(dtype)), fast(found.to(dtype)))
            value = self._pooled(update.aggregator.to_v(motion))
            remembered = read(value).transpose(1, 2).unflatten(2, motion.shape[-2:])
            shared = motion + update.aggregator.gamma * remembered
            hidden = update.gru(torch.cat([hidden, context, motion, shared], dim=1))
            flow = self._corrected(flow, hidden)
            yield Iterate(flow, hidden, value, correlation)

    def _memory_read(self, query: Tensor, keys: Tensor, values: Tensor) -> ops.MemoryRead:
        if torch.compiler.is_exporting():  # the number of keys is one of the graph's
            count = torch.ones_like(keys[:1, :, :1]).sum()
            query = query * (count.log() / math.log(self.average_tokens))
            return ops.MemoryRead(query, keys, values, self.hidden**-0.5, 0)
        scale = self.hidden**-0.5 * math.log(keys.shape[1]) / math.log(self.average_tokens)
        # A table of attention weights costs as much as four reads without one.
        table_limit = self.volume_limit if self.iterations > 4 else 0
        return ops.MemoryRead(query, keys, values, scale, table_limit)

    def _with_confidence(
        self, last: Iterate, now: Encoded, luma: luminance.Pyramid, previous: luminance.Pyramid
    ) -> Flow:
        """Flow in pixels, and how far colour carried along it can be trusted."""

        def opposite(iterations: int) -> Tensor:
            before = self.encode(previous.luma)
            nothing = before.key[:, :0]
            iterates = self.iterate(before, now.features, nothing, nothing, self._first_flow(previous, luma))
            return self._enlarged(deque(islice(iterates, iterations), maxlen=1).pop(), previous, luma).flow

        fine = self._enlarged(last, luma, previous)
        flow = Flow(fine.flow, torch.ones_like(luma.luma), fine.refined)
        frames = luma.luma, previous.luma
        evidence = Evidence(*frames, flow.colour_flow, last.flow, fine.weights, last.correlation, opposite)
        return replace(flow, confidence=self.confidence(evidence))

    def _remember(self, luma: luminance.Pyramid, now: Encoded, last: Iterate, state: FlowState) -> FlowState:
        kept = self.memory_frames * now.key.shape[1]
        keys = torch.cat([state.keys, now.key], dim=1)
        values = torch.cat([state.values, last.value], dim=1)
        start = torch.sym_max(0, keys.shape[1] - kept)
        # Views would hold on to what is forgotten.
        return FlowState(luma, now.features, keys[:, start:].clone(), values[:, start:].clone())

    def _first_flow(self, luma: luminance.Pyramid, previous: luminance.Pyramid) -> Tensor | None:
        """On the coarse grid and in its pixels."""
        if self.start is None:
            return None
        height, width = luma.luma.shape[-2:]
        return ops.rescale_flow(self.start(luma, previous), (height // STRIDE, width // STRIDE))

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

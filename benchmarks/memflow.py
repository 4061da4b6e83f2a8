"""CPU time and memory of a streamed frame of the published MemFlow, beside the same network in its plain form.

    python benchmarks/memflow.py                                   time at 240 x 432, 15 iterations
    python benchmarks/memflow.py --memory --size 1080 1920 --iterations 1

The plain form is not the published program. It is the published computation written straight down from the same
modules and weights, in PyTorch's default layout: both frames of a pair encoded again, every iteration's flow upsampled,
and the memory read as softmax(query key^T) value with all keys anew in every iteration. Its convolutions are PyTorch's
own, save that depthwise 1x1 kernels multiply instead, which favours it by about 2 %.
"""

import argparse
import math
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.color import scale_luma
from flowchroma.models import MemFlow
from flowchroma.models.memflow.architecture import STRIDE


class Clock:
    """CPU seconds by part."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add what runs inside to `name`."""
        begin = time.process_time()
        yield
        self.parts[name] = self.parts.get(name, 0) + time.process_time() - begin


def plain_pair(
    network: MemFlow, first: Tensor, second: Tensor, keys: Tensor, values: Tensor, clock: Clock
) -> tuple[Tensor, Tensor, Tensor]:
    """Flow of the first luminance (1, 1, H, W) to the second, the first's key, and its value."""
    update, hidden_width = network.update_block, network.hidden
    with clock.part("encoders"):
        frames = scale_luma(torch.cat([first, second])).expand(-1, network.channels, -1, -1)
        one, two = network.fnet(frames).split(1)
        hidden, context = network.cnet(frames[:1]).split(hidden_width, dim=1)
        hidden, context = torch.tanh(hidden), torch.relu(context)
        query, key = network.att.to_qk(context).flatten(2).transpose(1, 2).split(hidden_width, dim=2)
    with clock.part("correlation"):
        pyramid = ops.CorrelationPyramid(one, two, network.levels, network.radius)
    grid = ops.pixel_grid(*two.shape[-2:], like=two)
    flow = torch.zeros_like(grid)
    all_keys = torch.cat([keys, key], dim=1)
    scale = hidden_width**-0.5 * math.log(all_keys.shape[1]) / math.log(network.average_tokens)
    for _ in range(network.iterations):
        with clock.part("lookup"):
            found = pyramid.lookup(grid + flow).contiguous()
        with clock.part("motion encoder"):
            motion = update.encoder(flow, found)
        with clock.part("attention"):
            value = update.aggregator.to_v(motion).flatten(2).transpose(1, 2)
            weights = torch.softmax(query @ all_keys.transpose(1, 2) * scale, dim=-1)
            read = weights @ torch.cat([values, value], dim=1)
            shared = motion + update.aggregator.gamma * read.transpose(1, 2).reshape(motion.shape)
        with clock.part("update"):
            hidden = update.gru(torch.cat([hidden, context, motion, shared], dim=1).contiguous())
            flow = flow + update.flow_head(hidden)
        with clock.part("upsampling"):
            fine = ops.convex_upsample(flow, update.upsampling_weights(hidden), STRIDE)
    return fine, key, value


def lively(network: MemFlow) -> MemFlow:
    """Move what starts at zero, little enough that the flow stays inside the frame."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return network.eval()


def compare(network: MemFlow, film: list[Tensor]) -> None:
    """Time every frame from the third on, when the memory is full, in both forms."""
    ours, plain, parts, worst = [], [], Clock(), 0.0
    _, state = network.step(film[0], None)
    empty = state.keys
    keys, values = empty, empty
    for index in range(1, len(film)):
        clock, begin = Clock(), time.process_time()
        expected, key, value = plain_pair(network, film[index], film[index - 1], keys, values, clock)
        took_plain = time.process_time() - begin
        keys, values = key, value
        begin = time.process_time()
        flow, state = network.step(film[index], state)
        took_ours = time.process_time() - begin
        assert flow is not None
        worst = max(worst, float((flow.flow - expected).abs().max() / expected.std()))
        if index > 1:
            ours.append(took_ours)
            plain.append(took_plain)
            for name, seconds in clock.parts.items():
                parts.parts[name] = parts.parts.get(name, 0) + seconds / (len(film) - 2)
    print(f"plain form   {statistics.median(plain):6.2f} CPU-seconds a frame, of which")
    for name, seconds in parts.parts.items():
        print(f"             {seconds:6.2f} {name}")
    print(f"ours         {statistics.median(ours):6.2f} CPU-seconds a frame")
    print(f"ratio        {statistics.median(ours) / statistics.median(plain):6.2f}")
    print(f"difference   {worst:6.1e} of the flow's std, at most")


def measure(network: MemFlow, film: list[Tensor]) -> None:
    """Print each step's time and the growth of the largest resident size so far."""
    state = None
    for luma in film:
        before, begin = resident(), time.process_time()
        _, state = network.step(luma, state)
        seconds = time.process_time() - begin
        print(f"{seconds:7.2f} CPU-seconds, {resident():6.0f} MiB at most, {resident() - before:6.0f} more than before")


def resident() -> float:
    """Largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description="CPU time and memory of a streamed frame of the published MemFlow.")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 432), metavar=("H", "W"))
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--volume-limit", type=float, default=512, help="MiB, see MemFlow")
    parser.add_argument("--memory", action="store_true", help="largest resident memory of ours in place of the times")
    options = parser.parse_args()
    if any(side % STRIDE or side < 128 for side in options.size):
        parser.error("both sides must be multiples of 8 and at least 128: the plain form does not pad")
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    network = lively(MemFlow(iterations=options.iterations, volume_limit=options.volume_limit))
    height, width = options.size
    scene = 100 * torch.rand(1, 1, height // 4 + 2, width // 4 + 2 + options.frames)
    scene = torch.nn.functional.interpolate(scene, scale_factor=4, mode="bilinear")
    film = [scene[..., :height, 2 * t : 2 * t + width].contiguous() for t in range(options.frames)]
    (measure if options.memory else compare)(network, film)


if __name__ == "__main__":
    main()

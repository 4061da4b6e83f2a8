"""CPU time and memory of a frame of the published SwinTExCo, beside the same networks in their plain form.

    python benchmarks/swintexco.py                           time at 224 x 224, the reference encoded once by ours
    python benchmarks/swintexco.py --memory --size 480 854   largest resident memory of ours, step by step

The plain form is not the published program. It is the published computation written straight down from the same
weights: the reference encoded with every frame, levels and decoder stages enlarged before they are convolved, a softmax
over a whole matrix of similarities, PyTorch's own convolutions, instance norm and strided depthwise convolution.

Measured with the second command on one thread of a busy CPU: 1075 MiB before, 1979 after the reference, 2086 after the
frame's features, 2086 after the matching, which adds nothing to what the networks took, and 2222 after the whole frame.
The reference takes 17 CPU-seconds, a frame 38, of which the matching 9.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.color import lab_to_rgb
from flowchroma.models import SwinTExCo
from flowchroma.models.swintexco.colornet import ColorVidNet
from flowchroma.models.swintexco.warp import Branch, WarpNet
from flowchroma.weights import matching_trunk


class Clock:
    """CPU seconds by part."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add what runs inside to `name`."""
        begin = time.process_time()
        yield
        self.parts.setdefault(name, []).append(time.process_time() - begin)


def plain_branch(branch: Branch, x: Tensor) -> Tensor:
    """One branch on a level that is enlarged already."""
    first, _, act, second, _, last, drop = branch
    x = act(F.instance_norm(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), first.weight, first.bias)))
    x = F.interpolate(x, scale_factor=2.0) if branch.enlarge else x
    x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), second.weight, second.bias, second.stride)
    return drop(last(F.instance_norm(x)))


def plain_features(warp: WarpNet, levels: list[Tensor]) -> Tensor:
    """The 512 channels that theta and phi read."""
    enlarged = [F.normalize(F.interpolate(level, scale_factor=2.0), dim=1) for level in levels]
    branches = (warp.layer2_1, warp.layer3_1, warp.layer4_1, warp.layer5_1)
    found = [plain_branch(branch, level) for branch, level in zip(branches, enlarged, strict=True)]
    x = torch.cat([F.interpolate(f, size=found[0].shape[-2:]) for f in found], dim=1)
    for block in warp.layer:
        y = block.prelu(F.instance_norm(block.conv1(x)))
        x = block.prelu(x + F.instance_norm(block.conv2(y)))
    return x


def plain_match(warp: WarpNet, target: Tensor, source: Tensor, ab: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Colour and similarity at full size, by one matrix."""
    sides = [projection(x).flatten(2) for projection, x in ((warp.theta, target), (warp.phi, source))]
    one, two = (F.normalize(x - x.mean(dim=2, keepdim=True), dim=1) for x in sides)
    scores = one.transpose(1, 2) @ two
    colour = torch.softmax(scores / temperature, dim=2) @ F.avg_pool2d(ab, 4).flatten(2).transpose(1, 2)
    best = scores.amax(dim=2, keepdim=True)
    size = target.shape[-2:]
    maps = (x.transpose(1, 2).unflatten(2, size) for x in (colour, best))
    colour, best = (F.interpolate(x, scale_factor=4.0) for x in maps)
    return colour, best


def plain_color(net: ColorVidNet, x: Tensor) -> Tensor:
    """ColorVidNet, stage by stage."""
    part = net.get_submodule
    kept = {}
    for stage, count in zip(range(1, 8), (2, 2, 3, 3, 3, 3, 3), strict=True):
        for place in range(1, count + 1):
            x = part(f"relu{stage}_{place}")(part(f"conv{stage}_{place}")(x))
        x = kept[stage] = F.instance_norm(x)
        if stage < 4:
            weight = part(f"conv{stage}_{count}norm_ss").weight
            x = F.conv2d(x, weight, stride=2, groups=len(weight))
    for stage, skip, count in ((8, 3, 3), (9, 2, 2), (10, 1, 2)):
        conv = part(f"conv{stage}_1.1")
        short = part(f"conv{skip}_{3 if skip == 3 else 2}_short")(kept[skip])
        enlarged = F.conv2d(F.interpolate(x, scale_factor=2.0), conv.weight, conv.bias, padding=1)
        x = part(f"relu{stage}_1_comb")(enlarged + short)
        for place in range(2, count + 1):
            x = part(f"relu{stage}_{place}")(part(f"conv{stage}_{place}")(x))
        x = x if stage == 10 else F.instance_norm(x)
    return 128 * torch.tanh(net.conv10_ab(x))


def plain_frame(network: SwinTExCo, luma: Tensor, reference: Tensor, last: Tensor, clock: Clock) -> Tensor:
    """Colour of a frame: (1, 1, H, W), (1, 3, H, W) twice, to (1, 2, H, W)."""
    with clock.part("embed"):
        target = network.embed((luma / 100).expand(-1, 3, -1, -1))
        source = network.embed(lab_to_rgb(reference))
    with clock.part("WarpNet"):
        sides = (plain_features(network.warp, levels) for levels in (target, source))
        ab, similarity = plain_match(network.warp, *sides, reference[:, 1:], network.sharp)
    with clock.part("ColorVidNet"):
        middle = luma.new_tensor([50.0, 0, 0]).view(3, 1, 1)
        return plain_color(network.colornet, torch.cat([luma - 50, ab, similarity, last - middle], dim=1))


def compare(network: SwinTExCo, film: list[Tensor]) -> None:
    """Time every frame from the second on, in both forms, each with the plain form's last frame."""
    ours, plain, worst, clock = [], [], 0.0, Clock()
    begin = time.process_time()
    memory = network.encode_references(film[0][:, None])
    once = time.process_time() - begin
    last = film[0]
    for lab in film[1:]:
        luma = lab[:, :1]
        begin = time.process_time()
        with patch("flowchroma.ops.winograd._pays", return_value=False):
            expected = plain_frame(network, luma, film[0], last, clock)
        plain.append(time.process_time() - begin)
        begin = time.process_time()
        found = network(luma, memory, last).ab
        ours.append(time.process_time() - begin)
        worst = max(worst, float((found - expected).abs().max() / expected.std()))
        last = torch.cat([luma, expected], dim=1)
    print(f"plain form   {statistics.median(plain):6.2f} CPU-seconds a frame, of which")
    for name, seconds in clock.parts.items():
        print(f"             {statistics.median(seconds):6.2f} {name}")
    print(f"ours         {statistics.median(ours):6.2f} CPU-seconds a frame, and {once:.2f} once for the reference")
    print(f"ratio        {statistics.median(ours) / statistics.median(plain):6.2f}")
    print(f"difference   {worst:6.1e} of the colour's std, at most")


def measure(network: SwinTExCo, film: list[Tensor]) -> None:
    """Print how the largest resident size so far grows: the trunk, all before the matching, the matching, the rest."""
    frame, size = film[1][:, :1], film[1].shape[-2:]
    padded = F.pad(frame, (0, -size[1] % 32, 0, -size[0] % 32), mode="replicate")

    def step(name: str, begin: float, before: float) -> None:
        print(
            f"{name:28} {time.process_time() - begin:7.2f} CPU-seconds, {before:6.0f} -> {resident():6.0f} MiB at most"
        )

    begin, before = time.process_time(), resident()
    memory = network.encode_references(film[0][:, None])
    step("reference", begin, before)
    nothing = type(memory)(memory.keys[:, :1], memory.lab[:, :1], memory.image[:1])
    begin, before = time.process_time(), resident()
    network.match_colour(padded, nothing)
    step("frame up to the matching", begin, before)
    begin, before = time.process_time(), resident()
    network.match_colour(padded, memory)
    step("the same with the matching", begin, before)
    begin, before = time.process_time(), resident()
    network(frame, memory, film[0])
    step("whole frame", begin, before)


def resident() -> float:
    """Largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description="CPU time and memory of a frame of the published SwinTExCo.")
    parser.add_argument("--size", type=int, nargs=2, default=(224, 224), metavar=("H", "W"))
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.01, help="in use; both forms agree only if not sharper")
    parser.add_argument("--memory", action="store_true", help="largest resident memory of ours in place of the times")
    options = parser.parse_args()
    if not options.memory and any(side % 32 for side in options.size):
        parser.error("both sides must be multiples of 32: the plain form does not pad")
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    network = SwinTExCo(matching_trunk(weights="none"), sharp=options.temperature).eval()
    height, width = options.size
    scene = torch.rand(1, 3, height // 8 + 2, width // 8 + 2 + options.frames)
    scene = F.interpolate(scene, scale_factor=8, mode="bilinear") * torch.tensor([100.0, 80, 80]).view(3, 1, 1)
    scene = scene - torch.tensor([0.0, 40, 40]).view(3, 1, 1)
    film = [scene[..., :height, 2 * t : 2 * t + width].contiguous() for t in range(options.frames)]
    (measure if options.memory else compare)(network, film)


if __name__ == "__main__":
    main()

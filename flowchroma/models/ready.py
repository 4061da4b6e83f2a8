"""Networks made ready to colour: in the layout and the precision in which a processor is fastest."""

from typing import Any

import torch
from torch import Tensor, nn

from flowchroma.models.flowchroma import FlowChroma
from flowchroma.models.fusion.additive_unet import AdditiveUNet, Unshuffle
from flowchroma.models.swintexco.compact import MatchingFeatures, Refinement, SwinTExCoSmall
from flowchroma.models.trunks.frozen import FrozenTrunk


def ready_to_colour(system: FlowChroma, half: bool = False) -> FlowChroma:
    """Make a trained system as fast as it is on its device; it is not to be trained any more.

    On a CPU its convolutions keep channels last, but for those of the flow, which would be slower. The mean of matches,
    which a fusion that reads votes leaves unread, is not computed. Weights keep their names, shapes and values.

    Args:
        system: on the device that it colours on.
        half: compute the matcher's features, the search among cells and the fusions in bfloat16, and round their
            weights to it.

    Returns:
        The same system.
    """
    on_cpu = all(parameter.device.type == "cpu" for parameter in system.parameters())
    for module in list(system.modules()):
        if isinstance(module, MatchingFeatures | Refinement | AdditiveUNet) and on_cpu:
            module.to(memory_format=torch.channels_last)
        if isinstance(module, Unshuffle) and on_cpu:
            module.memory_format = torch.channels_last
        if isinstance(module, SwinTExCoSmall):
            module.averages = not system.fusion.reads_votes
            module.search_dtype = torch.bfloat16 if half else torch.float32
        if half and isinstance(module, FrozenTrunk):
            _halve(module, module)
        if half and isinstance(module, AdditiveUNet):
            _halve(module, module.enter)
    return system


def _halve(network: nn.Module, first: nn.Module) -> None:
    """Compute a network in bfloat16, of which `first` takes the input; what it gives under names is float32 again."""
    network.to(torch.bfloat16)
    first.register_forward_pre_hook(lambda _, inputs: tuple(x.to(torch.bfloat16) for x in inputs))
    if network is first:
        network.register_forward_hook(lambda _, __, levels: _widened(levels))


def _widened(levels: Any) -> dict[str, Tensor]:
    return {name: level.float() for name, level in levels.items()}


def has_fast_half(device: torch.device) -> bool:
    """Whether bfloat16 is computed faster than float32 there, as on processors with AVX512_BF16."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # no public name in all releases
    return device.type == "cpu" and supported is not None and supported()

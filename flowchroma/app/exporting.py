"""What `python -m flowchroma.export` does: write networks as ONNX, and run each beside PyTorch."""

import gc
import itertools
import logging
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from flowchroma.app.systems import load_networks
from flowchroma.errors import UserError
from flowchroma.models.graphs import FlowGraph, Graph, graph_of

OPSET = 18
MULTIPLE = 16  # of the sides of frames
LEAST, MOST = 128, 8192  # pixels a side
TRACED = (144, 176)  # size of the frame that a graph is made with
CHECKED = (TRACED, (240, 432))  # sizes at which it is compared with PyTorch


def run(config: DictConfig) -> None:
    """Write the networks of `checkpoint` into `output`, and print how far each is from PyTorch."""
    if config.output is None:
        raise UserError("no output: give output=FOLDER for the networks")
    _check_packages()
    networks = load_networks(config.checkpoint)
    folder = Path(config.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    for part in sorted(networks, key="flow".__eq__):  # which takes longest
        graph, path = graph_of(part, networks[part]), folder / f"{part}.onnx"
        write(graph, path)
        found = ", ".join(f"{name} {difference:.1e}" for name, difference in differences(graph, path).items())
        sizes = " and ".join(f"{height} x {width}" for height, width in CHECKED)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; largest difference to PyTorch at {sizes}: {found}")


def _check_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnx_ir  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"export needs {error.name}: pip install 'flowchroma[export]'") from error


@torch.no_grad()
def write(graph: Graph, path: Path) -> None:
    """Write a graph as ONNX, whole or not at all."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    arguments = example(graph, TRACED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how PyTorch's own code is written
        shapes = _dynamic_shapes(graph)
        with _quickly():
            exported = torch.export.export(graph, tuple(arguments), dynamic_shapes=shapes, strict=False)
            program = torch.onnx.export(
                exported,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                opset_version=OPSET,
                verbose=False,
                optimize=False,  # takes longer than all the rest
            )
    assert program is not None
    _make_small(program.model)
    side = path.with_name(f"{path.name}.part")
    program.save(side)
    side.replace(path)


def _quickly() -> ExitStack:
    """Let `torch.no_grad` and `torch.autocast` do nothing, and collect no garbage.

    Where a mode changes PyTorch splits its graph, and takes minutes to join it.
    """
    stack = ExitStack()
    for mode, name in itertools.product((torch.no_grad, torch.autocast), ("__enter__", "__exit__")):
        stack.enter_context(patch.object(mode, name, lambda *_: None))
    gc.disable()
    stack.callback(gc.enable)
    return stack


def _make_small(model: Any) -> None:
    """Compute once what is computed several times, and drop the notes of what code each operation comes from."""
    from onnx_ir.passes.common import CommonSubexpressionEliminationPass

    CommonSubexpressionEliminationPass()(model)
    for noted in (model, model.graph, *model.graph.all_nodes()):
        noted.metadata_props.clear()


def _dynamic_shapes(graph: Graph) -> Any:
    """Which axes may have any length: both of a frame, in steps of `MULTIPLE`, and the number of keys."""
    limits = {"min": LEAST // MULTIPLE, "max": MOST // MULTIPLE}
    rows, columns = (torch.export.Dim(name, **limits) for name in ("rows", "columns"))
    keys = torch.export.Dim("remembered", min=2)
    image = {2: MULTIPLE * rows, 3: MULTIPLE * columns}
    of_others = {"keys": {1: keys}, "values": {1: keys}, "position": None}
    shapes = tuple(of_others[name] if channels is None else image for name, channels in graph.inputs.items())
    one_by_one = isinstance(graph, FlowGraph) or len(shapes) == 1
    return shapes if one_by_one else (shapes,)


@torch.no_grad()
def differences(graph: Graph, path: Path) -> dict[str, float]:
    """Largest absolute difference of each output between ONNX Runtime and PyTorch, over the sizes of `CHECKED`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(graph.outputs, 0.0)
    for size in CHECKED:
        arguments = example(graph, size)
        found = session.run(None, {name: x.numpy() for name, x in zip(graph.inputs, arguments, strict=True)})
        for name, ours, theirs in zip(graph.outputs, graph(*arguments), found, strict=True):
            largest[name] = max(largest[name], float((ours - torch.from_numpy(theirs)).abs().max()))
    return largest


def example(graph: Graph, size: Sequence[int]) -> list[Tensor]:
    """What a graph may be given for a frame of a size: the second frame of a scene that moves, and colours."""
    generator = torch.Generator().manual_seed(0)
    height, width = size

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    coarse = 100 * rand(1, 1, height // 8, width // 8 + 1)
    scene = F.interpolate(coarse, size=(height, width + 4), mode="bicubic").clamp(0, 100)
    made = {"luma": scene[..., :width].contiguous(), "previous": scene[..., 3 : width + 3].contiguous()}
    if isinstance(graph, FlowGraph):
        keys = graph.network.encode(made["previous"]).key
        made |= {"keys": keys, "values": 0.1 * torch.randn(keys.shape, generator=generator)}
    made["position"] = rand(1)
    ranges = {"ab": (-40, 40), "difference": (0, 20), "error": (1, 15)}
    for name, channels in graph.inputs.items():
        if name not in made and channels is not None:
            low, high = ranges.get(name.rpartition("_")[2], (0, 1))
            made[name] = low + (high - low) * F.interpolate(rand(1, channels, 9, 9), size=size, mode="bilinear")
    return [made[name] for name in graph.inputs]

"""`python -m flowchroma.export`, as it is typed, and its files in ONNX Runtime at other sizes than their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from flowchroma.app.exporting import differences, example, write
from flowchroma.app.systems import load_networks
from flowchroma.models import BidirectionalFusion
from flowchroma.models.graphs import Graph, graph_of

onnxruntime = pytest.importorskip("onnxruntime", reason="export needs: pip install 'flowchroma[export]'")
pytest.importorskip("onnxscript", reason="export needs: pip install 'flowchroma[export]'")

ROOT = Path(__file__).parents[1]
# Largest differences: unit vectors, CIELAB units, pixels; the parts as they are written.
BOUNDS = {"matcher": 1e-4, "fusion": 1e-3, "bidirectional": 2e-3, "flow": 2e-3}


def typed(*options: str, cwd: Path, first: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; `first` runs before it there."""
    program = f"{first}; import runpy, sys; runpy.run_module('flowchroma.export', run_name='__main__', alter_sys=True)"
    start = ["-c", program] if first else ["-m", "flowchroma.export"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *start, *options], cwd=cwd, env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("export")
    done = typed("output=my networks, [1]", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "my networks, [1]", done.stdout


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return {part: graph_of(part, network) for part, network in load_networks().items()}


def test_a_small_network_is_written_without_where_it_was_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = BidirectionalFusion(width=4, depth=1).requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    graph, path = graph_of("bidirectional", network), tmp_path / "bidirectional.onnx"
    write(graph, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert max(differences(graph, path).values()) < BOUNDS["bidirectional"]
    assert not any(place in path.read_bytes() for place in (b"stack_trace", b".py", os.fsencode(ROOT)))


@pytest.mark.slow
def test_every_network_is_written_and_its_difference_printed(exported) -> None:
    folder, said = exported
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{part}.onnx" for part in BOUNDS)
    for part, line in zip(BOUNDS, said.splitlines(), strict=True):
        assert line.startswith(f"my networks, [1]/{part}.onnx: ")
        told = [float(number) for number in re.findall(r" \w+ (\d\S*e\S\d+)", line.partition("PyTorch")[2])]
        assert told
        assert max(told) < BOUNDS[part]


@pytest.mark.slow
@pytest.mark.parametrize("part", BOUNDS)
def test_a_network_gives_the_same_at_other_sizes(part: str, exported, graphs) -> None:
    session = onnxruntime.InferenceSession(exported[0] / f"{part}.onnx", providers=["CPUExecutionProvider"])
    graph = graphs[part]
    assert [given.name for given in session.get_inputs()] == list(graph.inputs)
    assert [found.name for found in session.get_outputs()] == list(graph.outputs)
    for size in ((128, 208), (288, 256)):  # the dominant motion ends at different scales
        given = example(graph, size)
        found = session.run(None, {name: x.numpy() for name, x in zip(graph.inputs, given, strict=True)})
        with torch.no_grad():
            expected = graph(*given)
        for name, one, other in zip(graph.outputs, expected, found, strict=True):
            assert one.shape == other.shape
            assert np.abs(one.numpy() - other).max() < BOUNDS[part], (name, size)


@pytest.mark.slow
def test_the_flow_starts_without_a_memory_as_the_system_does(exported, graphs) -> None:
    session = onnxruntime.InferenceSession(exported[0] / "flow.onnx", providers=["CPUExecutionProvider"])
    luma, previous, keys, _ = example(graphs["flow"], (144, 160))
    network = graphs["flow"].network
    with torch.no_grad():
        expected, state = network.step(luma, network.step(previous, None)[1])
    empty = keys[:, :0].numpy()
    names = ("luma", "previous", "keys", "values")
    found = session.run(None, dict(zip(names, (luma.numpy(), previous.numpy(), empty, empty), strict=True)))
    assert expected is not None
    for one, other in zip((expected.flow, expected.colour_flow, expected.confidence), found, strict=False):
        assert np.abs(one.numpy() - other).max() < BOUNDS["flow"]
    assert np.abs(state.keys.numpy() - found[3]).max() < 1e-4


@pytest.mark.parametrize(
    ("options", "first", "code", "says"),
    [
        ((), "", 1, "no output: give output=FOLDER"),
        (("output=x", "checkpoint=nowhere"), "", 1, "no checkpoint at nowhere"),
        (("output=x",), "import sys; sys.modules['onnxscript'] = None", 1, "pip install 'flowchroma[export]'"),
        (("outputs=x",), "", 2, "unknown option 'outputs=x'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, first: str, code: int, says: str, tmp_path: Path) -> None:
    done = typed(*options, cwd=tmp_path, first=first)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists()

"""The notebooks run as they are, and are kept without what they showed."""

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def executed(name: str, folder: Path):
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class ThisPython(AsyncKernelManager):
        """A kernel in this interpreter, whatever kernels the machine has installed."""

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])

    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_manager_class=ThisPython, resources={"metadata": {"path": str(folder)}}
    ).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(outputs) -> str:
    return "".join(output.get("text", "") for output in outputs)


def kinds(outputs) -> set[str]:
    return {kind for output in outputs for kind in output.get("data", {})}


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_kept_thin_and_empty(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert sum(len(cell.source.splitlines()) for cell in code) < 40


@pytest.fixture
def _importable(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    paths = [str(NOTEBOOKS.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.mark.usefixtures("_importable")
def test_runs_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, lr, psnr in (("a", 0.1, 30.0), ("b", 0.2, 31.0)):
        path = tmp_path / "runs" / name
        path.mkdir(parents=True)
        (path / "config.yaml").write_text(f"optimizer: {{lr: {lr}}}\n")
        (path / "metrics.csv").write_text(f"step,val/psnr,train/loss\n1,{psnr - 1},2\n2,{psnr},1\n")
        (path / "results.csv").write_text(f"val/psnr\n{psnr}\n")
    monkeypatch.setenv("RUNS", "runs")
    outputs = executed("compare_runs.ipynb", tmp_path)
    assert "lr=0.2 leads: val/psnr 31.00 dB, 1.00 dB above lr=0.1" in printed(outputs)
    assert sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs) == 3


@pytest.mark.usefixtures("_importable")
def test_a_clip_is_looked_into(tmp_path: Path):
    outputs = executed("inside_a_clip.ipynb", tmp_path)
    assert "image/png" in kinds(outputs)
    assert printed(outputs).count("'carried'") == 11
    assert "less sure half" in printed(outputs)

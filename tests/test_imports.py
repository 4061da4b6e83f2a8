import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What colouring a film does without.
TRAINING = {
    *("flowchroma.training", "flowchroma.losses", "flowchroma.metrics", "flowchroma.runs", "flowchroma.data"),
    *("lightning", "torchmetrics", "torch_fidelity", "lpips", "wandb", "plotly", "timm", "torchvision", "skimage"),
    *("scipy", "matplotlib", "pandas", "optuna", "huggingface_hub"),
}


def at_the_top(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements that are executed when a module is imported, not those within functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_the_top(child)


def source_of(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def imports(name: str, seen: set[str]) -> set[str]:
    """All that importing a module of ours imports, directly or through others of ours: read, not run."""
    parts = name.split(".")
    for name in (".".join(parts[:end]) for end in range(1, len(parts) + 1)):  # its packages come first
        if name in seen:
            continue
        seen.add(name)
        source = source_of(name)
        if source is None or not name.startswith("flowchroma"):
            continue
        for statement in at_the_top(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                found = [alias.name for alias in statement.names]
            else:
                assert not statement.level, f"{source}: relative import"
                found = [f"{statement.module}.{alias.name}" for alias in statement.names]
            for other in found:
                imports(other, seen)
    return seen


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("flowchroma.data", "lightning"),  # made films, and all that lists films
        ("flowchroma.data.made.photographs", "numpy"),
        ("flowchroma.film", "flowchroma"),
        ("flowchroma.plans", "torch"),
        ("flowchroma.plans.keyframes", "flowchroma.film"),
        ("flowchroma.training", "lightning"),
    ],
)
def test_media_libraries_are_imported_when_they_are_needed(name: str, needs: str) -> None:
    found = imports(name, set())
    assert needs in found
    assert not found & {"cv2", "av", "skimage", "wandb", "plotly", "litdata"}


def test_the_test_sees_what_is_imported() -> None:
    assert {"cv2", "flowchroma.errors"} <= imports("flowchroma.film.image_files", set())
    assert "av" in imports("flowchroma.film.video", set())


COLOUR = """
import json, sys
import flowchroma.app.colouring.job, flowchroma.colorize
imported = sorted(sys.modules)
sys.argv[1:] = json.loads(sys.argv[1])
flowchroma.colorize.main()
print(json.dumps([imported, sorted(sys.modules)]))
"""


def test_colouring_stands_alone_when_imported_and_when_it_runs(tmp_path: Path) -> None:
    """With the weights that ship, in a fresh interpreter: what the configuration names is imported late."""
    cv2, np = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    for n in range(2):
        picture = np.random.default_rng(n).integers(0, 255, (32, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{n}.png"), picture)
    options = [f"source={tmp_path}", "reference=first", f"output={tmp_path / 'coloured'}", "size=32", "device=cpu"]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", COLOUR, json.dumps(options)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    imported, ran = (set(names) for names in json.loads(done.stdout.splitlines()[-1]))
    assert len(list((tmp_path / "coloured").glob("*.png"))) == 2
    assert {"torch", "flowchroma.app.systems"} <= imported
    assert {"flowchroma.models.fusion.blend", "flowchroma.weights.vgg_weights", "cv2"} <= ran
    assert not imported & TRAINING
    assert not ran & TRAINING

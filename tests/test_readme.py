"""Every command of the README, and every example of docs/extending.md, in a process of its own.

A command is run as it is typed there, from a folder that holds tiny films under the names that it uses. Options that
make it small are added at its end; a command for several GPUs is composed and not run (`--cfg job`); `make` says what
it would do (`--dry-run`), but for `make demo`, which the slow test runs in full. Two run at a time.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowchroma.app.settings import CONF
from flowchroma.film import open_writer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXTENDING = (ROOT / "docs/extending.md").read_text()
EXAMPLES = {part.partition("\n")[0]: part for part in EXTENDING.split("\n## ")[1:]}
FEWER = "data.size=[48,48] data.clip_length=2 data.batch_size=1 data.num_workers=0 data.val_clips=1 data.val_length=2"
SMALLER = {
    "flowchroma.run": f"{FEWER} trainer.max_steps=2",
    "flowchroma.rollouts": "length=[3,4] stride=[1,1] size=48",
    "flowchroma.evaluate": "frames=3 lpips=[] fid=false processes=1",
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


def commands(page: str) -> list[str]:
    """Lines of a page's shell blocks, without comments, continued lines joined."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [line for line in (re.sub(r"(^|\s+)#.*", "", line) for line in lines) if line.strip()]


def made_small(line: str) -> str:
    if line.startswith("make "):
        return f"{line} --dry-run --directory={ROOT}"
    if re.search(r"trainer=(gpu|ddp|slurm)\b", line):
        return f"{line} --cfg job"
    if "ROLLOUTS" in line and "flowchroma.run" in line:
        return f"{line} data.size=[32,32] data.batch_size=1 data.num_workers=0 trainer.max_steps=2"
    module = re.search(r"python -m (\S+)", line)
    return f"{line} {SMALLER.get(module[1], '')}" if module else line


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")]
    nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}  # nothing is downloaded
    environment = {
        **os.environ,
        **nowhere,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "TORCH_HOME": str(folder / "no_cache"),
    }
    return subprocess.run(
        ["bash", "-c", made_small(line)], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def frame(t: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A coloured square that moves by a pixel a frame, over colours that change from left to right."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(30, 220, width)
    rgb[..., 1] = np.linspace(200, 40, height)[:, None]
    rgb[12:28, 8 + t : 24 + t] = (20, 60, 230)
    return rgb


def write_frames(folder: Path, count: int = 4) -> None:
    folder.mkdir(parents=True)
    for t in range(count):
        Image.fromarray(frame(t)).save(folder / f"{t:05}.jpg")


def write_film(path: Path, count: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path, fps=12) as writer:
        for t in range(count):
            writer.write(frame(t))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the README's commands name."""
    root = tmp_path_factory.mktemp("readme")
    write_film(root / "film.mp4")
    for name in ("still.jpg", "postcard.jpg"):
        Image.fromarray(frame(0)).save(root / name)
    write_frames(root / "frames", 3)
    (root / "keys").mkdir()
    Image.fromarray(frame(2)).save(root / "keys" / "000002.png")
    for split, name in (("train", "a"), ("val", "b")):
        write_frames(root / "DAVIS/JPEGImages/480p" / name)
        lists = root / "DAVIS/ImageSets/2017"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text(f"{name}\n")
    for split in ("train", "val"):
        write_film(root / "VIDEVO" / split / "film.mp4")
        write_film(root / "FILMS" / f"{split}.mp4")
    (root / "FILMS/films.csv").write_text("train,train.mp4\nval,val.mp4\n")
    return root


@pytest.fixture(scope="module")
def ran(folder: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """All commands, two at a time; one that names what an earlier one writes waits for it."""
    made: dict[str, Future] = {}  # by what they write
    results: dict[str, Future] = {}
    with ThreadPoolExecutor(2) as pool:

        def run_after(line: str, needed: list[Future]) -> subprocess.CompletedProcess[str]:
            for before in needed:
                before.result()
            done = run(line, folder)
            if "flowchroma.plan " in line:  # somebody colours the stills
                for still in (folder / "plan").glob("*.png"):
                    Image.fromarray(frame(int(still.stem))).save(still)
            return done

        for line in commands(README):
            needed = [before for written, before in made.items() if re.search(rf"\b{re.escape(written)}\b", line)]
            results[line] = pool.submit(run_after, line, needed)
            for written in re.findall(r"(?:hydra\.(?:run|sweep)\.dir|output)=(\S+)", line):
                made[written] = results[line]
    return {line: result.result() for line, result in results.items()}


@pytest.mark.parametrize("line", commands(README))
def test_a_command_of_the_readme_runs_as_typed(line: str, ran, folder: Path) -> None:
    assert ran[line].returncode == 0, f"{made_small(line)}\n{ran[line].stdout[-2000:]}\n{ran[line].stderr[-3000:]}"
    assert "Traceback" not in ran[line].stderr
    for written in re.findall(r"\b(?:hydra\.(?:run|sweep)\.dir|output)=(\S+)", line):
        assert (folder / written).exists() or "--cfg" in made_small(line)


def test_python_in_the_readme_runs_and_is_short(folder: Path) -> None:
    (code,) = blocks(README, "python")
    assert len([line for line in code.splitlines() if line]) <= 8
    (folder / "from_readme.py").write_text(code)
    done = run("python from_readme.py", folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "from_python.mp4").stat().st_size > 0


@pytest.mark.parametrize("group", ["stage", "model", "data", "loss", "optimizer", "scheduler", "trainer", "logger"])
def test_the_readme_names_every_choice(group: str) -> None:
    for_evaluation_alone = {"davis30", "videvo20", "folder"}
    names = {path.stem for path in Path(CONF, group).glob("*.yaml") if not path.stem.startswith("_")}
    (row,) = re.findall(rf"^\|.*`{group}=`.*$", README, re.M)
    assert not {name for name in names - for_evaluation_alone if f"`{name}`" not in row}


def test_the_readme_is_one_that_is_read_to_its_end() -> None:
    assert len(README.splitlines()) < 142
    assert all((ROOT / link.partition("#")[0]).exists() for link in re.findall(r"\]\(([^)]+)\)", README))


def runs_in(page: str) -> list[str]:
    """What is typed after `python -m flowchroma.run` in a page's shell and indented blocks, sweeps left out."""
    indented = "\n".join(re.findall(r"^    (\S.*)", page, re.M))
    lines = commands(f"{page}\n```sh\n{indented}\n```\n")
    return list(dict.fromkeys(re.findall(r"flowchroma\.run (?!.*(?:-m|--) )(.*)", "\n".join(lines))))


@pytest.mark.parametrize("page", ["docs/training.md", "docs/data.md", "flowchroma/weights/README.md"])
def test_options_in_the_docs_are_options(page: str, compose) -> None:
    found = runs_in((ROOT / page).read_text())
    assert found
    for typed in found:
        compose(*(option.replace("$RUN", "RUN") for option in shlex.split(typed)))


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_of_extending_runs_as_it_stands(title: str, folder: Path) -> None:
    files = [code for language in ("python", "yaml") for code in blocks(EXAMPLES[title], language)]
    assert sum(len(code.splitlines()) for code in files) < 40, title
    for code in files:
        path = folder / code.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    for line in commands(EXAMPLES[title]):
        done = run(line, folder)
        assert done.returncode == 0, f"{made_small(line)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        (written,) = re.findall(r"(?:hydra.run.dir|output)=(\S+)", line)
        assert (folder / written).exists()
    if "loss" in title:
        header = (folder / "runs/vivid/metrics.csv").read_text().partition("\n")[0].split(",")
        assert {"train/l1", "train/strength"} <= set(header)


def test_extending_has_an_example_of_each() -> None:
    assert set(EXAMPLES) == {"A fusion", "A loss term", "A data set"}


def test_the_readme_and_the_makefile_say_the_same_of_time() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        (said,) = re.findall(rf"^make {target} .*?: (.*on two free cores)$", README, re.M)
        assert re.search(rf"^{target}:.* ## .*\({said}\)$", makefile, re.M)


def test_a_table_is_made_from_a_report(tmp_path: Path) -> None:
    mean = {"psnr": 30.123, "ssim": 0.98, "warp_error": 0.00125}
    report = {"protocol": {"about": {"b": {"parameters": 1234}}}, "methods": {n: {"mean": mean} for n in "abc"}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    (tmp_path / "README.md").write_text(README)
    command = [sys.executable, str(ROOT / "benchmarks/table.py"), "report.json", "README.md", "table", "b,c"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    before, made = README, (tmp_path / "README.md").read_text()
    assert made.partition("<!-- table -->")[0] == before.partition("<!-- table -->")[0]
    assert made.partition("<!-- end of table -->")[2] == before.partition("<!-- end of table -->")[2]
    rows = re.findall(r"^\| [abc] \|.*", made, re.M)
    assert rows == ["| b | 1,234 | 30.12 | 0.9800 |  |  | 1.250 |  |", "| c |  | 30.12 | 0.9800 |  |  | 1.250 |  |"]


@pytest.mark.slow
def test_the_demo_runs(tmp_path: Path) -> None:
    done = subprocess.run(["make", "demo", f"DEMO={tmp_path}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert all((tmp_path / name).stat().st_size > 0 for name in ("comparison.mp4", "contact_sheet.png", "metrics.csv"))

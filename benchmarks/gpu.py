"""What a GPU does with FlowChroma: frames and training steps a second, memory, equality with the CPU and of processes.

    make gpu                                                          on a machine with one GPU or more
    python benchmarks/gpu.py --lines 'train*' --limit 200             some lines of the table alone
    python benchmarks/gpu.py --device cpu --sizes 48x64 --frames 4 --page PAGE     its own logic, without a GPU

Every line is measured in a process of its own: one that fails is named, and the others go on. Within `--limit` seconds
it ends; what was not begun by then is named, too. The table replaces the one between the marks of `--page`.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from limits import DTYPES, matrix_rate, operations, synchronize
from table import put
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).parent
FORMS = ("fp32", "bf16", "compiled")  # compiled is bf16, too
MODELS = {"memflow": "memflow_small", "swintexco": "swintexco_small", "fusion": "simple"}
LINES = 240  # short side at which colour is computed, as `preset=full` does
COUNTED = 15  # frames at the end, when the memory is full, if there are as many
BOUND = 0.1  # levels of 255: mean difference between a device's frames and the CPU's
PROCESSES_BOUND = 1e-3  # relative: losses of two processes against those of one
HEAD = ("line", "result", "peak memory, MiB", "GFLOP a frame", "share of the matrix rate")
LONGEST = 150  # seconds of one line


def lines(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every line of the table, the most wanted first."""
    common = {"device": options.device, "frames": options.frames}
    found = [{"line": "matrix rate", "what": "rate"}]
    found += [
        {"line": f"colour {size} {form}", "what": "colour", "size": size, "form": form}
        for form in options.forms
        for size in options.sizes
    ]
    found.append({"line": "frames as on the CPU", "what": "equality", "size": options.sizes[0]})
    alone, together = ("gpu", "ddp") if options.device == "cuda" else ("cpu", "ddp_cpu")
    precision = "bf16-mixed" if options.device == "cuda" else "32-true"
    for kind, trainer, compiled in (("", alone, "no"), (" compile", alone, "yes"), (f" {together}", together, "no")):
        found += [
            {"line": f"train {stage}{kind}", "what": "train", "model": model, "trainer": trainer, "compile": compiled,
             "precision": precision, "batch": options.batch, "side": options.side, "steps": options.steps}
            for stage, model in MODELS.items()
        ]  # fmt: skip
    found.append({"line": "two processes as one", "what": "processes", "alone": alone, "together": together})
    return [common | line for line in found if any(fnmatchcase(line["line"], wanted) for wanted in options.lines)]


def measure_rate(case: dict[str, Any]) -> dict[str, Any]:
    """Products of square matrices."""
    rates = {name: matrix_rate(case["device"], dtype) for name, dtype in DTYPES.items()}
    return {"result": ", ".join(f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in rates.items())}


def measure_colour(case: dict[str, Any]) -> dict[str, Any]:
    """Frames a second of `Painter`, without decoding and encoding."""
    device, form, count = case["device"], case["form"], case["frames"]
    if form not in FORMS:
        raise ValueError(f"no form {form}: choose from {', '.join(FORMS)}")
    dtype = torch.float32 if form == "fp32" else torch.bfloat16
    counted = min(COUNTED, max(1, count // 2))
    with colouring(device, form == "compiled") as painter, precision(device, dtype):
        frames = scene(case["size"], count + 1, device)
        painter.start(frames[0])
        painter.observe(frames[0])
        for frame in frames[1 : count - counted]:
            painter.paint(frame)
        synchronize(device)
        start = time.perf_counter()
        for frame in frames[count - counted : count]:
            painter.paint(frame)
        synchronize(device)
        rate = counted / (time.perf_counter() - start)
        torch.compiler.set_stance("force_eager")
        done = operations(lambda: painter.paint(frames[count]))
    return {
        "result": f"{rate:.3g} frames/s",
        "memory": torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None,
        "operations": done / 1e9,
        "share": done * rate / matrix_rate(device, dtype),
    }


@contextmanager
def colouring(device: str, compiled: bool) -> Iterator[Any]:
    """The shipped system as a painter."""
    from flowchroma.app.systems import load_system
    from flowchroma.colorizers import Painter

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    system = load_system().to(device)
    if compiled:
        for network in (system.flow, system.matcher, system.fusion):
            for part in blocks(network):
                part.compile(dynamic=False)
    with torch.inference_mode():
        yield Painter(system, size=LINES)


def blocks(network: nn.Module) -> list[nn.Module]:
    """The largest parts of a network that are called as modules; lists of parts are not."""
    parts: list[nn.Module] = []
    for part in network.children():
        parts += blocks(part) if isinstance(part, nn.ModuleList | nn.ModuleDict) else [part]
    return parts


def precision(device: str, dtype: torch.dtype) -> Any:
    """Autocast to half precision, or nothing."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype)


def measure_equality(case: dict[str, Any]) -> dict[str, Any]:
    """Frames that a device coloured in float32 beside those of the CPU."""
    made = []
    for device in ("cpu", case["device"]):
        with colouring(device, compiled=False) as painter:
            frames = scene(case["size"], min(6, case["frames"]), device)
            painter.start(frames[0])
            painter.observe(frames[0])
            made.append(torch.cat([painter.paint(frame).cpu() for frame in frames[1:]]).float())
    difference = (made[0] - made[1]).abs()
    mean, most = float(difference.mean()), float(difference.max())
    within = "within" if mean <= BOUND else "BEYOND"
    return {"result": f"{within} the bound of {BOUND} levels: {mean:.2g} on average, {most:.0f} at most"}


def scene(size: str, count: int, device: str) -> list[Tensor]:
    """A coloured scene that moves by two pixels a frame: (1, 3, H, W) uint8 each."""
    height, width = map(int, size.split("x"))
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // 8 + 1, (width + 2 * count) // 8 + 1, generator=generator)
    whole = F.interpolate(coarse, size=(height, width + 2 * count), mode="bicubic").clamp(0, 1).mul(255).byte()
    return [whole[..., 2 * t : 2 * t + width].contiguous().to(device) for t in range(count)]


def measure_training(case: dict[str, Any]) -> dict[str, Any]:
    """Steps a second, by benchmarks/training.py."""
    steps = case["steps"]
    training = {
        **{name: case[name] for name in ("model", "trainer", "precision", "compile", "batch", "steps")},
        "workers": min(8, max(1, (os.cpu_count() or 2) - 1)), "size": [case["side"]] * 2, "length": 4,
        "warm_up": max(2, steps // 5), "weights": "shipped", "options": [],
    }  # fmt: skip
    command = [sys.executable, str(HERE / "training.py"), "--case", json.dumps(training)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = next(json.loads(line) for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    told = f"{found['steps/s']:.3g} steps/s of {case['batch']} clips, {found['waiting']:.0%} waiting"
    return {"result": f"{told}, first step {found['first step, s']:.0f} s", "memory": found["MiB"]}


def measure_processes(case: dict[str, Any]) -> dict[str, Any]:
    """Losses of two processes beside those of one with twice the batch."""
    if case["device"] == "cuda" and torch.cuda.device_count() < 2:
        return {"result": "not here: it takes two GPUs"}
    small = "stage=memflow data.size=[64,64] data.clip_length=2 data.num_workers=0 data.val_clips=2 data.val_length=2"
    fixed = [*small.split(), "trainer.max_steps=3", "trainer.log_every_n_steps=1", "trainer.precision=32-true"]
    losses = []
    with tempfile.TemporaryDirectory() as folder:
        for name, batch, own in (("alone", 4, [case["alone"]]), ("together", 2, [case["together"], "2"])):
            place = Path(folder, name)
            options = [f"trainer={own[0]}", *(f"trainer.devices={n}" for n in own[1:]), f"data.batch_size={batch}"]
            command = [sys.executable, "-m", "flowchroma.run", *fixed, *options, f"hydra.run.dir={place}"]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            with (place / "metrics.csv").open(newline="") as file:
                losses.append([float(row["train/loss"]) for row in csv.DictReader(file) if row.get("train/loss")])
    apart = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    within = "within" if apart <= PROCESSES_BOUND else "BEYOND"
    return {"result": f"{within} the bound of {PROCESSES_BOUND}: losses differ by {apart:.1e} at most"}


MEASURES = {
    "rate": measure_rate,
    "colour": measure_colour,
    "equality": measure_equality,
    "train": measure_training,
    "processes": measure_processes,
}


def apart(case: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Measure a line in a process of its own, which ends with all that it started."""
    if seconds < 1:
        return {"result": "**not begun**: the time was up"}
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, errors = process.communicate(timeout=min(seconds, LONGEST))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"result": "**failed**: not done in time"}
    if process.returncode:
        said = (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return {"result": f"**failed**: {said}"}
    measured: dict[str, Any] = json.loads(out.splitlines()[-1])
    return measured


def row(case: dict[str, Any], found: dict[str, Any]) -> str:
    """A line of the table in Markdown."""
    memory, operations, share = (found.get(name) for name in ("memory", "operations", "share"))
    cells = [
        case["line"], found["result"].replace("|", "/"), "" if memory is None else f"{memory:.0f}",
        "" if operations is None else f"{operations:.3g}", "" if share is None else f"{share:.2g}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def machine(device: str) -> str:
    """What was measured."""
    if device != "cuda":
        return "the CPU, in place of a GPU"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{', '.join(names)}; PyTorch {torch.__version__}, CUDA {torch.version.cuda}"


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--sizes", nargs="+", default=["240x432", "480x854", "1080x1920"], help="of frames, HxW")
    parser.add_argument("--forms", nargs="+", default=FORMS)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=224, help="of training clips")
    parser.add_argument("--lines", nargs="+", default=["*"], help="which lines, as 'colour*'")
    parser.add_argument("--limit", type=float, default=460, help="seconds for all lines")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs/gpu.md")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    """Measure line by line, print each as it comes, and write the page."""
    options = parsed()
    if options.case:
        case = json.loads(options.case)
        print(json.dumps(MEASURES[case["what"]](case)))
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU that PyTorch can use here: nothing was measured")
    until = time.monotonic() + options.limit
    made = [f"{machine(options.device)}.", "", f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    print("\n".join(made))
    failed = []
    for case in lines(options):
        found = apart(case, until - time.monotonic())
        made.append(row(case, found))
        print(made[-1], flush=True)
        failed += [case["line"]] if found["result"].startswith("**") else []
        put(options.page, "gpu", "\n".join(made))
    if failed:
        sys.exit(f"without a figure: {', '.join(failed)}")


if __name__ == "__main__":
    main()

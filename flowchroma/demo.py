"""Colour an unseen made film with a trained system, and show it beside the truth: python -m flowchroma.demo run=RUN."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from flowchroma import ops
from flowchroma.app.settings import quiet
from flowchroma.app.systems import load_system
from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.data import SampleFilm
from flowchroma.errors import UserError
from flowchroma.film import open_writer
from flowchroma.metrics import psnr
from flowchroma.models import FlowChroma

SEEDS = (1001, 1002, 1003)
FRAMES = 40
SIZE = (144, 192)
METHODS = ("gray", "first colour held", "propagated", "matched", "fused")
SHOWN = ("gray", "propagated", "matched", "fused", "truth")


def main() -> None:
    """Take `run=` (a fusion run's directory, or nothing for the shipped weights) and `output=`."""
    options = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    if unknown := set(options) - {"run", "output"} or [a for a in sys.argv[1:] if "=" not in a]:
        print(f"flowchroma: unknown option {sorted(unknown)[0]}: give run= and output=", file=sys.stderr)
        sys.exit(2)
    quiet()
    try:
        demonstrate(load_system(options.get("run")), Path(options.get("output", "outputs/demo")))
    except UserError as error:
        print(f"flowchroma: {error}", file=sys.stderr)
        sys.exit(error.code)


@torch.inference_mode()
def demonstrate(system: FlowChroma, output: Path) -> None:
    """Write comparison.mp4, contact_sheet.png and metrics.csv, and print the table."""
    output.mkdir(parents=True, exist_ok=True)
    scores: dict[str, list[float]] = {method: [] for method in METHODS}
    rows, stills = [], []
    with open_writer(output / "comparison.mp4", fps=12, overwrite=True) as writer:
        for seed in SEEDS:
            film = SampleFilm(seed, FRAMES, SIZE, "val")
            for t, frame in enumerate(colour(system, film)):
                writer.write(side_by_side(frame))
                if t in (FRAMES // 2, FRAMES - 1):
                    stills.append(side_by_side(frame))
                if t == 0:
                    continue  # the reference itself
                for method in METHODS:
                    figure = float(psnr(frame[method], frame["truth"], data_range=255)[0])
                    scores[method].append(figure)
                    rows.append({"film": film.name, "frame": t, "method": method, "psnr": round(figure, 3)})
    with (output / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    save_sheet(np.concatenate(stills), output / "contact_sheet.png")
    report(scores, output)


def colour(system: FlowChroma, film: SampleFilm) -> Iterator[dict[str, Tensor]]:
    """Each frame in every method's colours, (1, 3, H, W) uint8; the first frame is the reference."""
    state, held, carried = None, None, None
    for t in range(len(film)):
        truth = torch.from_numpy(film.read([t])[0]).movedim(-1, 0)[None]
        lab = rgb_to_lab(truth)
        luma, ab = lab[:, :1], lab[:, 1:]
        if state is None or held is None or carried is None:
            state, held, carried = system.start(lab[:, None]), ab, ab
        signals = system.look(luma, state)
        if t == 0:
            matched = fused = ab
        else:
            assert signals.flow is not None
            carried = ops.backward_warp(carried, signals.flow.carrier)
            matched, fused = signals.match.ab, system.fusion(signals)
        state = system.advance(state, signals, fused)
        colours = (torch.zeros_like(ab), held, carried, matched, fused)
        made = {name: lab_to_rgb8(torch.cat([luma, c], dim=1)) for name, c in zip(METHODS, colours, strict=True)}
        yield {**made, "truth": truth}


def side_by_side(frame: dict[str, Tensor]) -> np.ndarray:
    """(H, W * 5, 3) uint8, in the order of `SHOWN`."""
    return torch.cat([frame[name][0] for name in SHOWN], dim=2).movedim(0, -1).contiguous().numpy()


def save_sheet(rows: np.ndarray, path: Path) -> None:
    """Write (H, W, 3) uint8 RGB under a line that names the columns of `SHOWN`."""
    from PIL import Image, ImageDraw

    height, width, _ = rows.shape
    sheet = Image.new("RGB", (width, height + 16), "white")
    sheet.paste(Image.fromarray(rows), (0, 16))
    for column, name in enumerate(SHOWN):
        ImageDraw.Draw(sheet).text((column * width // len(SHOWN) + 4, 2), name, fill="black")
    sheet.save(path)


def report(scores: dict[str, list[float]], output: Path) -> None:
    """Print each method's mean, and where to look."""
    table = Table(
        "method", "PSNR, dB", title=f"{len(SEEDS)} unseen made films of {FRAMES} frames, the first as reference"
    )
    for method, figures in scores.items():
        table.add_row(method, f"{np.mean(figures):.2f}")
    console = Console()
    console.print(table)
    console.print(f"Watch {output / 'comparison.mp4'}: {' | '.join(SHOWN)}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()

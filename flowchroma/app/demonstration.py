"""What `python -m flowchroma.demo` does: colour unseen made films with a trained system, beside the truth."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor

from flowchroma import ops
from flowchroma.app.systems import load_system
from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.data import SampleFilm
from flowchroma.film import open_writer
from flowchroma.metrics import psnr
from flowchroma.models import FlowChroma, roll_out
from flowchroma.models.state import Known

SEEDS = (1001, 1002, 1003)
FRAMES = 40
SIZE = (144, 192)
METHODS = ("gray", "first colour held", "propagated", "matched", "fused")
SHOWN = ("gray", "propagated", "matched", "fused", "truth")


def run(config: DictConfig) -> None:
    """Show what the system of `run` (the shipped one where there is none) makes of unseen films, in `output`."""
    demonstrate(load_system(config.run), Path(config.output))


@torch.inference_mode()
def demonstrate(system: FlowChroma, output: Path) -> None:
    """Write comparison.mp4, contact_sheet.png and metrics.csv, and print the table."""
    output.mkdir(parents=True, exist_ok=True)
    rows, stills = [], []
    with open_writer(output / "comparison.mp4", fps=12, overwrite=True) as writer:
        for seed in SEEDS:
            film = SampleFilm(seed, FRAMES, SIZE, "val")
            for t, frame in enumerate(colour(system, film)):
                row = side_by_side([frame[name] for name in SHOWN])
                writer.write(row)
                if t in (FRAMES // 2, FRAMES - 1):
                    stills.append(row)
                if t == 0:
                    continue  # the reference itself
                for method in METHODS:
                    score = float(psnr(frame[method], frame["truth"], data_range=255)[0])
                    rows.append({"film": film.name, "frame": t, "method": method, "psnr": round(score, 3)})
    with (output / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    save_contact_sheet(stills, SHOWN, output / "contact_sheet.png")
    report(rows, output)


def colour(system: FlowChroma, film: SampleFilm) -> Iterator[dict[str, Tensor]]:
    """Each frame in every method's colours, (1, 3, H, W) uint8; the first frame is the reference."""
    truths = [torch.from_numpy(rgb).movedim(-1, 0)[None] for rgb in film.read(range(len(film)))]
    first = rgb_to_lab(truths[0])
    held = carried = first[:, 1:]
    lumas = (rgb_to_lab(truth)[:, :1] for truth in truths)
    frames = roll_out(system, lumas, [first[:, None]], {0: Known(held)})
    for truth, frame in zip(truths, frames, strict=True):
        matched = held if frame.signals is None else frame.signals.match.ab
        if frame.signals is not None and frame.signals.flow is not None:
            carried = ops.backward_warp(carried, frame.signals.flow.colour_flow)
        colours = (torch.zeros_like(held), held, carried, matched, frame.ab)
        made = {
            name: lab_to_rgb8(torch.cat([frame.luma, ab], dim=1)) for name, ab in zip(METHODS, colours, strict=True)
        }
        yield {**made, "truth": truth}


def report(rows: Sequence[Mapping[str, Any]], output: Path) -> None:
    """Print each method's mean, and where to look."""
    table = Table("method", "PSNR, dB", title=f"{len(SEEDS)} unseen films of {FRAMES} frames, the first as reference")
    for method in METHODS:
        table.add_row(method, f"{np.mean([row['psnr'] for row in rows if row['method'] == method]):.2f}")
    Console().print(table)
    line = f"Watch {output / 'comparison.mp4'}: {' | '.join(SHOWN)}"
    Console().print(line, soft_wrap=True, highlight=False, markup=False)


def side_by_side(frames: Sequence[Tensor]) -> np.ndarray:
    """Lay N frames (1, 3, H, W), uint8 RGB, beside each other: (H, N * W, 3)."""
    return torch.cat([frame[0] for frame in frames], dim=2).movedim(0, -1).contiguous().numpy()


def save_contact_sheet(rows: Sequence[np.ndarray], names: Sequence[str], path: Path) -> None:
    """Write rows of `side_by_side` below each other, under a line that names their columns."""
    from PIL import Image, ImageDraw

    pixels = np.concatenate(rows)
    height, width, _ = pixels.shape
    sheet = Image.new("RGB", (width, height + 16), "white")
    sheet.paste(Image.fromarray(pixels), (0, 16))
    for column, name in enumerate(names):
        ImageDraw.Draw(sheet).text((column * width // len(names) + 4, 2), name, fill="black")
    sheet.save(path)

"""The runs' pictures of the same validation clip, side by side."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowchroma.comparison.runs import MONITOR, Run

_GAP = 2  # pixels around each picture of a panel, as torchvision's make_grid leaves them
_KEY = "caption"
_COMMON = ("gray", "truth")


@dataclass(frozen=True)
class Strip:
    """One clip.

    Args:
        clip: its name; empty where a panel does not say.
        common: what every run shows alike, by name, as data URIs.
        columns: for each run, by its index in the list given: step, and what it shows by name.
    """

    clip: str
    common: Mapping[str, str]
    columns: Sequence[tuple[int, int, Mapping[str, str]]]


def strips(runs: Sequence[Run]) -> list[Strip]:
    """The panels of the runs' best step, those of one clip and size together.

    A panel's caption says what is in it. One without, of an earlier version, is shown whole.
    """
    clips: dict[tuple[str, tuple[int, int]], list[tuple[int, int, dict[str, Any]]]] = {}
    for i, run in enumerate(runs):
        step = best_step(run)
        if step is None:
            continue
        opened = _open(run.panels[step])
        if opened is not None:
            clip, pictures = opened
            size = next(iter(pictures.values())).size
            clips.setdefault((clip, size), []).append((i, step, pictures))
    return [_strip(clip, columns) for (clip, _), columns in clips.items()]


def best_step(run: Run) -> int | None:
    """The step of the panel that is nearest to where the run was best; None without a panel."""
    if not run.panels:
        return None
    steps, values = run.curves.get(MONITOR, ([], []))
    best = max(zip(values, steps, strict=True))[1] if steps else max(run.panels)
    # The figures are logged under the step before the one that the panel is named after.
    return min(run.panels, key=lambda step: abs(step - best - 1))


def _strip(clip: str, columns: Sequence[tuple[int, int, dict[str, Any]]]) -> Strip:
    first = columns[0][2]
    common = {name: _uri(first[name]) for name in _COMMON if name in first}
    own = [(i, step, {k: _uri(v) for k, v in p.items() if k not in _COMMON}) for i, step, p in columns]
    return Strip(clip, common, own)


def _open(path: Path) -> tuple[str, dict[str, Any]] | None:
    """The clip's name, and the panel's pictures by name."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            caption = str(file.info.get(_KEY, ""))
            panel = file.convert("RGB")
    except OSError:  # cut off while it was written
        return None
    if not caption:
        return "", {"panel": panel}
    *names, clip = caption.split(" | ")
    width = (panel.width - _GAP) // len(names)
    boxes = [(_GAP + i * width, _GAP, (i + 1) * width, panel.height - _GAP) for i in range(len(names))]
    return clip, {name: panel.crop(box) for name, box in zip(names, boxes, strict=True)}


def _uri(picture: Any) -> str:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=92)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"

"""The runs' pictures of the same validation clip, side by side."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowchroma.runs.training_run import Run

_GAP = 2  # pixels around each picture of a panel, as torchvision's make_grid leaves them
_KEY = "caption"
_COMMON = ("gray", "truth")


@dataclass(frozen=True)
class Strip:
    """The runs' pictures of one clip."""

    clip: str  # empty where a panel does not say
    truth: str  # the original, a data URI; empty where a panel does not say
    rows: Sequence[str]  # what is shown of each run
    # A run's index, its panel's step, a data URI or None a row.
    columns: Sequence[tuple[int, int, Sequence[str | None]]]


def panel_strips(runs: Sequence[Run]) -> list[Strip]:
    """The runs' last panels, those of one clip and size together. A finished run's last one shows its best weights.

    A panel's caption says what is in it. One without, of an earlier version, is shown whole.
    """
    clips: dict[tuple[str, tuple[int, int]], list[tuple[int, int, dict[str, Any]]]] = {}
    for i, run in enumerate(runs):
        if not run.panels:
            continue
        step = max(run.panels)
        opened = _open(run.panels[step])
        if opened is not None:
            clip, pictures = opened
            size = next(iter(pictures.values())).size
            clips.setdefault((clip, size), []).append((i, step, pictures))
    return [_strip(clip, columns) for (clip, _), columns in clips.items()]


def _strip(clip: str, columns: Sequence[tuple[int, int, dict[str, Any]]]) -> Strip:
    renamed = [(i, step, _renamed(pictures)) for i, step, pictures in columns]
    names = list(dict.fromkeys(name for _, _, pictures in renamed for name in pictures if name not in _COMMON))
    alike = {
        name
        for name in names[2:]  # its own picture and error stay
        if len(renamed) > 1 and len({p[name].tobytes() if name in p else b"" for _, _, p in renamed}) == 1
    }
    rows = [name for name in names if name not in alike]
    truth = next((_uri(pictures["truth"]) for _, _, pictures in renamed if "truth" in pictures), "")
    shown = [(i, step, [_uri(p[name]) if name in p else None for name in rows]) for i, step, p in renamed]
    return Strip(clip, truth, rows, shown)


def _renamed(pictures: dict[str, Any]) -> dict[str, Any]:
    """The run's own picture first, and after it its error: what it is called beside the truth is its network's name."""
    names = list(pictures)
    if "truth" not in pictures:
        return pictures
    own = names[names.index("truth") - 1]
    made = {"coloured": pictures[own], "error": _error(pictures[own], pictures["truth"])}
    return made | {name: picture for name, picture in pictures.items() if name != own}


def _error(picture: Any, truth: Any) -> Any:
    from torchvision.transforms.functional import to_tensor  # seconds, which reading runs need not wait for

    from flowchroma.pages.pictures import ciede2000_heatmap, to_image

    return to_image(ciede2000_heatmap(to_tensor(picture), to_tensor(truth)))


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

"""Where colours come from and how sure they are, as pictures that tell it without colour as well."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flowchroma.plans.plan_page import jpeg_uri
from flowchroma.studio.html import fragment
from flowchroma.studio.previews import Preview, Source

_SHORT = 270  # pixels of a map's short side
# Okabe and Ito's, which the colour-blind tell apart; each place bears its letter as well.
_COLOURS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (240, 228, 66))
_LETTERS = "ABCDEFGHIJ"
_BRIGHT = 20.0  # CIELAB units that are brightest
_LEAST = 0.02  # of the frame: a smaller part bears no letter
_PARTS = 3  # of each side, whose means are told in numbers
_TIE = 0.005  # share that is told as none


def maps(preview: Preview) -> str:
    """Both pictures with their legends, as a part of the page."""
    return fragment("maps", _source(preview), _error(preview))


def shrunk(rgb: np.ndarray, long_side: int) -> np.ndarray:
    """A picture whose long side is no longer than this."""
    import cv2

    scale = min(1.0, long_side / max(rgb.shape[:2]))
    width, height = (max(1, round(scale * side)) for side in rgb.shape[1::-1])
    return rgb if scale == 1 else cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)


def _source(preview: Preview) -> dict[str, Any]:
    used = [at for at, source in enumerate(preview.sources) if source.share > _TIE]
    rows = [_source_row(at, preview.sources[at]) for at in used]
    told = "; ".join(f"{row['letter']} {row['name']} {row['share']}" for row in rows)
    return {"picture": _picture(_source_map(preview.source, used), f"Where colours come from: {told}"), "rows": rows}


def _source_row(at: int, source: Source) -> dict[str, str]:
    red, green, blue = _COLOURS[at % len(_COLOURS)]
    colour = f"rgb({red} {green} {blue})"
    return {"letter": _LETTERS[at], "name": source.name, "share": f"{source.share:.0%}", "colour": colour}


def _error(preview: Preview) -> dict[str, Any]:
    mean, most = f"{preview.error.mean():.1f}", f"{preview.error.max():.0f}"
    return {
        "picture": _picture(_error_map(preview.error), f"How unsure it is: {mean} on average, {most} at most"),
        "mean": mean,
        "most": most,
        "bright": f"{_BRIGHT:.0f}",
        "parts": [[f"{part:.1f}" for part in row] for row in _parts(preview.error)],
    }


def _picture(rgb: np.ndarray, alt: str) -> dict[str, Any]:
    height, width = rgb.shape[:2]
    return {"width": width, "height": height, "alt": alt, "uri": jpeg_uri(rgb)}


def _source_map(source: np.ndarray, used: Sequence[int]) -> np.ndarray:
    """(h, w) of indices as colours, a letter on the largest place of each: (H, W, 3) uint8."""
    import cv2

    large = _enlarged(source.astype(np.uint8), cv2.INTER_NEAREST)
    colours = np.array([_COLOURS[at % len(_COLOURS)] for at in range(len(_LETTERS))], np.uint8)
    drawn = colours[large.clip(0, len(_LETTERS) - 1)]
    for at in used:
        mask = np.pad((large == at).astype(np.uint8), 1)
        inside = cv2.distanceTransform(mask, cv2.DIST_L2, 3)[1:-1, 1:-1]
        if mask.mean() > _LEAST:
            innermost = np.argwhere(inside > 0.98 * inside.max())
            y, x = innermost[np.abs(innermost - innermost.mean(axis=0)).sum(axis=1).argmin()]
            _write(drawn, _LETTERS[at], (int(x), int(y)), 0.9)
    return drawn


def _error_map(error: np.ndarray) -> np.ndarray:
    """Errors (h, w) in CIELAB units as colours, with the mean of each part in numbers: (H, W, 3) uint8."""
    import cv2

    level = (_enlarged(error.astype(np.float32), cv2.INTER_LINEAR) / _BRIGHT * 255).round().clip(0, 255)
    drawn = cv2.cvtColor(cv2.applyColorMap(level.astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    height, width = drawn.shape[:2]
    for row, values in enumerate(_parts(error)):
        for column, value in enumerate(values):
            middle = round((column + 0.5) * width / _PARTS), round((row + 0.5) * height / _PARTS)
            _write(drawn, f"{value:.1f}", middle, 0.6)
    return drawn


def _parts(error: np.ndarray) -> list[list[float]]:
    rows = np.array_split(error, _PARTS, axis=0)
    return [[float(part.mean()) for part in np.array_split(row, _PARTS, axis=1) if part.size] for row in rows]


def _write(rgb: np.ndarray, text: str, middle: tuple[int, int], size: float) -> None:
    """Write white on a black edge, which is read on any colour."""
    import cv2

    font, mask = cv2.FONT_HERSHEY_SIMPLEX, np.zeros(rgb.shape[:2], np.uint8)
    (width, height), _ = cv2.getTextSize(text, font, size, 2)
    corner = middle[0] - width // 2, middle[1] + height // 2
    cv2.putText(mask, text, corner, font, size, 255, 2, cv2.LINE_AA)
    edge = cv2.dilate(mask, np.ones((5, 5)))  # OpenCV 5 draws letters of one thickness only
    rgb[:] = (rgb * (1 - edge[..., None] / 255.0) + mask[..., None]).round().astype(np.uint8)


def _enlarged(values: np.ndarray, how: int) -> np.ndarray:
    import cv2

    scale = _SHORT / min(values.shape[:2])
    width, height = (max(1, round(scale * side)) for side in values.shape[1::-1])
    return cv2.resize(values, (width, height), interpolation=how)

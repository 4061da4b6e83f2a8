"""The measures of a report: names, units, and which values are better."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeGuard

_MINUS = "\u2212"
_THOUSAND = "\u00d7 1000"

Direction = Literal["higher", "lower", "closest to 1", "none"]


def known(value: float | None) -> TypeGuard[float]:
    """Whether there is a figure, and it is a number; infinity is one."""
    return value is not None and not math.isnan(value)


@dataclass(frozen=True)
class Measure:
    """A column of a report."""

    key: str  # in files
    title: str  # for people
    about: str  # one sentence on what is measured
    direction: Direction  # where better lies; "none" where no value is better than another
    digits: int  # decimals shown
    unit: str = ""  # shown with the title
    scale: float = 1.0  # what is shown, over what files hold
    absent: str = "not measured"  # why it may be missing

    def show(self, value: float | None) -> str:
        """The value as people read it; a dash where there is none."""
        if not known(value):
            return "—"
        if math.isinf(value):
            return "∞" if value > 0 else f"{_MINUS}∞"
        return f"{value * self.scale:.{self.digits}f}".replace("-", _MINUS)

    def rank(self, value: float | None) -> float | None:
        """Place among others, at the digits shown: lower is better, equal is a tie, and None takes no part."""
        if not known(value) or self.direction == "none":
            return None
        shown = round(value * self.scale, self.digits)
        if self.direction == "closest to 1":
            return round(abs(shown - 1), self.digits)
        return -shown if self.direction == "higher" else shown


_thousandth = partial(
    Measure, digits=3, unit=_THOUSAND, scale=1000, absent="the clips are shorter than its steps of 4 frames"
)
_WEIGHTS = "the weights of its network are not on this machine"

MEASURES = (
    Measure("psnr", "PSNR", "Peak signal-to-noise ratio of 8-bit RGB.", "higher", 2, "dB"),
    Measure("ssim", "SSIM", "Structural similarity of 8-bit RGB.", "higher", 4),
    Measure("psnr_ab", "PSNR ab", "Peak signal-to-noise ratio of the chrominance in CIELAB.", "higher", 2, "dB"),
    Measure("ciede2000", "CIEDE2000", "Mean colour difference as eyes see it; about 1 is just noticeable.", "lower", 2),
    Measure("lpips_alex", "LPIPS alex", "Perceptual distance, AlexNet trunk.", "lower", 4, absent=_WEIGHTS),
    Measure("lpips_vgg", "LPIPS vgg", "Perceptual distance, VGG16 trunk.", "lower", 4, absent=_WEIGHTS),
    Measure(
        "fid",
        "FID",
        "Fréchet distance of Inception features over the whole set, never a clip.",
        "lower",
        2,
        absent=_WEIGHTS,
    ),
    Measure("colorfulness", "Colourfulness", "Hasler and Süsstrunk 2003; more is not better.", "none", 2),
    Measure("colorfulness_ratio", "Colourfulness ratio", "Colourfulness over that of the original.", "closest to 1", 3),
    _thousandth(
        "cdc",
        "CDC",
        "Colour distribution consistency (TCVC): how far colour histograms drift over 1, 2 and 4 frames.",
        "none",
    ),
    _thousandth(
        "cdc_distance",
        "CDC distance",
        "Distance of the CDC to that of the original; a still film has a low CDC and is wrong.",
        "lower",
    ),
    _thousandth(
        "warp_error",
        "Warp error",
        "Squared difference to the next frame warped by the flow of the original, where nothing is occluded.",
        "lower",
        absent="no two neighbouring frames, or no flow judge",
    ),
    Measure(
        "seconds_per_frame",
        "Time",
        "Mean time to colour a frame, reading and writing left out.",
        "lower",
        1,
        "ms a frame",
        1000,
        "the frames were given, no method ran",
    ),
)
BY_KEY = {measure.key: measure for measure in MEASURES}

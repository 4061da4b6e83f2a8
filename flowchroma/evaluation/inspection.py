"""Where a clip's colours came from: flow, confidence, similarity, and the source of each pixel's colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.color import into_gamut, lab_to_rgb, rgb_to_lab
from flowchroma.models import FlowChroma, roll_out
from flowchroma.models.state import Known, Signals
from flowchroma.pages import pictures
from flowchroma.types import Propagation

_LEAST_DISTANCE = 2.0  # CIELAB units; below that carried and matched colour count as alike
_CARRIED, _MATCHED, _ALIKE = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0), (0.85, 0.85, 0.85)


@dataclass(frozen=True)
class FrameInspection:
    """How one frame got its colour, (1, C, H, W)."""

    number: int
    truth: Tensor  # RGB in [0, 1]
    coloured: Tensor  # RGB in [0, 1]
    flow: Tensor  # pixels, to the frame before
    confidence: Tensor  # of the flow, in [0, 1]; 0 where nothing was carried
    similarity: Tensor  # of the match, in [0, 1]
    matched: Tensor  # share of the matched colour in this frame's mixture, in [0, 1]; NaN where both are alike
    matched_since: Tensor  # share that was matched in this frame or one before; the rest was carried from frame 0
    corrected: Tensor  # CIELAB units, what the fusion added to the mixture

    def pictures(self) -> dict[str, Tensor]:
        """Each as (3, H, W) in [0, 1], by name."""
        unknown = torch.isnan(self.matched).cpu()
        return {
            "truth": self.truth[0],
            "coloured": self.coloured[0],
            "error": pictures.ciede2000_heatmap(self.coloured[0], self.truth[0]),
            "flow": pictures.flow_colours(self.flow[0]),
            "flow confidence": pictures.gray(self.confidence[0]),
            "similarity": pictures.gray(self.similarity[0]),
            "this frame's source": torch.where(unknown[0], _plain(_ALIKE), _between(self.matched.nan_to_num()[0])),
            "source since frame 0": _between(self.matched_since[0]),
        }


@torch.inference_mode()
def inspect_clip(system: FlowChroma, frames: Tensor) -> list[FrameInspection]:
    """Colour a clip from its first frame, and keep what the networks found for each other one.

    Args:
        system: the three networks.
        frames: (T, 3, H, W), RGB in [0, 1]; the first is the reference and has its colour.

    Returns:
        Every frame but the first.
    """
    lab = rgb_to_lab(frames)[:, None]  # a batch of one
    found = torch.zeros_like(lab[0, :, :1])
    inspected = []
    coloured = roll_out(system, lab[:, :, :1], [lab[:1]], {0: Known(lab[0, :, 1:])})
    for number, (luma, ab, signals) in enumerate((frame.luma, frame.ab, frame.signals) for frame in coloured):
        if signals is None:  # the first frame
            continue
        matched, corrected = mixture(ab, signals.propagation, nearest_match(ab, signals))
        flow = torch.zeros_like(ab) if signals.flow is None else signals.flow.colour_flow
        # Where both colours are alike the older one counts: it was there already.
        share = torch.where(signals.propagation.confidence > 0, matched.nan_to_num(), 1.0)
        found = torch.lerp(ops.backward_warp(found, flow), torch.ones_like(found), share)
        inspected.append(
            FrameInspection(
                number, frames[number][None], lab_to_rgb(into_gamut(torch.cat([luma, ab], dim=1))), flow,
                signals.propagation.confidence, signals.match.similarity, matched, found, corrected,
            )
        )  # fmt: skip
    return inspected


def nearest_match(ab: Tensor, signals: Signals) -> Tensor:
    """At each pixel the matched colour, of the references or of frames coloured before, that is nearer to `ab`."""
    match = signals.match.finest.ab
    if signals.recent is None:
        return match
    recent = signals.recent.finest.ab
    distances = ((ab - found).square().sum(dim=1, keepdim=True) for found in (match, recent))
    return torch.where(next(distances) <= next(distances), match, recent)


def mixture(ab: Tensor, carried: Propagation, matched: Tensor) -> tuple[Tensor, Tensor]:
    """Read a fusion's colour as a mixture of the two that it was given, whatever network made it.

    The share is that of the point nearest to `ab` on the line between the two colours.

    Args:
        ab: (B, 2, H, W), what the fusion gave.
        carried: with confidence 0 where there is none; the matched colour is then all there is.
        matched: (B, 2, H, W).

    Returns:
        The matched colour's share (B, 1, H, W) in [0, 1], NaN where the two are less than 2 CIELAB units apart, and how
        far `ab` is from the mixture (B, 1, H, W), CIELAB units.
    """
    between = matched - carried.ab
    length = torch.linalg.vector_norm(between, dim=1, keepdim=True)
    share = ((ab - carried.ab) * between).sum(dim=1, keepdim=True) / length.square().clamp(min=1e-6)
    share = torch.where(carried.confidence > 0, share.clamp(0, 1), 1.0)
    rest = torch.linalg.vector_norm(ab - torch.lerp(carried.ab, matched, share), dim=1, keepdim=True)
    alike = (length < _LEAST_DISTANCE) & (carried.confidence > 0)
    return share.masked_fill(alike, torch.nan), rest


def shares(frame: FrameInspection) -> dict[str, float]:
    """How much of a frame was carried, matched, or is alike in both: fractions of its pixels that add up to 1."""
    alike = torch.isnan(frame.matched)
    matched = frame.matched.nan_to_num().sum() / frame.matched.numel()
    same = alike.float().mean()
    return {"carried": float(1 - same - matched), "matched": float(matched), "alike": float(same)}


def sheet(frames: Sequence[FrameInspection]) -> object:
    """The frames below each other as a PIL image. In both sources, blue is carried, orange matched, gray alike."""
    return pictures.sheet([(f"frame {frame.number}", frame.pictures()) for frame in frames])


def _plain(colour: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colour).view(3, 1, 1)


def _between(share: Tensor) -> Tensor:
    return torch.lerp(_plain(_CARRIED), _plain(_MATCHED), share.cpu())

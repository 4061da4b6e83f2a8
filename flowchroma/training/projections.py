"""Initial projections of the matching network, by principal components."""

from itertools import islice

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from flowchroma import ops
from flowchroma.data.clips.batches import collate, to_clip
from flowchroma.data.clips.raw import RawClip
from flowchroma.data.clips.sampler import ClipSampler
from flowchroma.errors import UserError
from flowchroma.models.swintexco import SwinTExCoSmall
from flowchroma.models.swintexco.compact import MULTIPLE


class FitProjections(Callback):
    """Sets `swintexco_small`'s projections to principal components of its trunk's features, before the first step.

    Weights from a checkpoint are left as they are.

    Args:
        clips: training clips whose features are used.
    """

    def __init__(self, clips: int = 64) -> None:
        self.clips = clips

    @torch.no_grad()
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit them, once in a network's life."""
        matcher = pl_module.network
        if not isinstance(matcher, SwinTExCoSmall) or matcher.embed.fitted:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        clips = data.train_dataloader().dataset
        # All processes use the same clips: DDP has shared the weights already.
        keys = ClipSampler(len(clips), data.seed, rank=0, world_size=1)
        matcher.embed.fit(_luma(clips[key], pl_module.device) for key in islice(keys, self.clips))


def _luma(item: RawClip | UserError, device: torch.device) -> Tensor:
    """The padded luminance of a clip's frames, (T, 1, H, W)."""
    batch = collate([item])
    if isinstance(batch, UserError):
        raise batch
    return ops.pad_to_multiple(to_clip(batch.to(device)).luma[0], MULTIPLE)[0]

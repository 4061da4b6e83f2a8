"""Measures: pure functions, and torchmetrics classes over them."""

from flowchroma.metrics.classes import EndPointError, MeanPSNR
from flowchroma.metrics.functional import epe, psnr, psnr_ab

__all__ = ["EndPointError", "MeanPSNR", "epe", "psnr", "psnr_ab"]

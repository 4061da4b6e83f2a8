"""Measures: pure functions, and torchmetrics classes over them."""

from flowchroma.metrics.classes import (
    AUSE,
    LPIPS,
    EndPointError,
    FlAll,
    MeanCDC,
    MeanCIEDE2000,
    MeanColorfulness,
    MeanPSNR,
    MeanPSNRab,
    MeanSSIM,
    MeanWarpError,
)
from flowchroma.metrics.color_difference import ciede2000, ciede2000_map
from flowchroma.metrics.fid import FID, frechet_distance
from flowchroma.metrics.flow import ause, epe, epe_map, fl_all
from flowchroma.metrics.image import SSIM_MIN_SIDE, colorfulness, psnr, psnr_ab, ssim
from flowchroma.metrics.perceptual import inception_features, lpips_distance
from flowchroma.metrics.temporal import CdcStream, cdc, histograms, jensen_shannon, warp_error

__all__ = [
    "AUSE",
    "FID",
    "LPIPS",
    "SSIM_MIN_SIDE",
    "CdcStream",
    "EndPointError",
    "FlAll",
    "MeanCDC",
    "MeanCIEDE2000",
    "MeanColorfulness",
    "MeanPSNR",
    "MeanPSNRab",
    "MeanSSIM",
    "MeanWarpError",
    "ause",
    "cdc",
    "ciede2000",
    "ciede2000_map",
    "colorfulness",
    "epe",
    "epe_map",
    "fl_all",
    "frechet_distance",
    "histograms",
    "inception_features",
    "jensen_shannon",
    "lpips_distance",
    "psnr",
    "psnr_ab",
    "ssim",
    "warp_error",
]

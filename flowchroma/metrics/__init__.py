"""Measures: pure functions, and torchmetrics classes over those that training validates by."""

from flowchroma.metrics.classes import AUSE, EndPointError, MeanPSNR, RatioOfMeans
from flowchroma.metrics.color_difference import ciede2000, ciede2000_map
from flowchroma.metrics.fid import FID, frechet_distance
from flowchroma.metrics.flow import ause, epe, epe_map
from flowchroma.metrics.image import SSIM_MIN_SIDE, colorfulness, psnr, psnr_ab, ssim
from flowchroma.metrics.perceptual import inception_features, lpips_distance
from flowchroma.metrics.temporal import CdcStream, histograms, jensen_shannon, warp_error

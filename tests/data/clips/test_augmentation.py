import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from flowchroma.data.clips.augmentation import Augmentation, FrameVariation, apply_variation, blurred, stack_variations
from flowchroma.data.clips.batches import collate, to_clip
from flowchroma.data.clips.datasets import FilmGroup, TrainingClips
from flowchroma.data.clips.raw import ClipVariation
from flowchroma.data.clips.recipe import Recipe
from flowchroma.data.clips.sampler import ClipKey
from flowchroma.data.made.sample import SampleFilm
from flowchroma.data.recolour import colour_matrix, recolour

PLAIN = Augmentation(crop_scale=(1.0, 1.0), flip=0, reverse=0, hue=0, saturation=0, brightness=0, blur=0, noise=0)
LIVELY = Augmentation(crop_scale=(0.5, 0.9), flip=0.5, reverse=0.5, blur=0.5, noise=0.0)


def training(films, kind="first", augmentation=PLAIN):
    recipe = Recipe(4, (24, 24), stride=(1, 1), reference={kind: 1.0}, augmentation=augmentation)
    return TrainingClips([FilmGroup(films, 10)], recipe, "the test")


def keys(count):
    return [ClipKey(index, 0) for index in range(count)]


def test_augmentation_is_the_same_for_all_frames_and_the_reference(fake_film):
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    film = fake_film(size=(48, 64), paint=lambda index: picture)
    clips = training([film], "far", augmentation=LIVELY)
    variations = []
    for key in keys(4):
        clip = to_clip(collate([clips[key]]))
        for frame in (*clip.lab[0], *clip.references[0]):
            torch.testing.assert_close(frame, clip.lab[0, 0])
        variations.append(clip.lab[0, 0])
    assert not torch.allclose(variations[0], variations[1], atol=0.5)


def test_blur_is_that_of_a_convolution():
    from torchvision.transforms.v2.functional import gaussian_blur

    frames = torch.rand(3, 3, 17, 21)
    for sigma in (0.3, 0.5, 0.71, 1.0):
        expected = gaussian_blur(frames, [2 * math.ceil(2 * sigma) + 1] * 2, [sigma] * 2)
        torch.testing.assert_close(blurred(frames, sigma), expected)


def test_variations_are_given_as_they_were_drawn():
    """Each frame has its own colour, blur and grain; without any, it stays what it was."""
    frames = torch.randint(0, 256, (2, 3, 3, 16, 16), dtype=torch.uint8)
    plain, turned = FrameVariation(torch.eye(3), 0.0, 0.0), FrameVariation(colour_matrix(0.3, 1.2, 0.9), 0.0, 0.0)
    soft, grainy = FrameVariation(torch.eye(3), 0.8, 0.0), FrameVariation(torch.eye(3), 0.0, 0.02)
    items = [stack_variations([plain, turned, soft], 1), stack_variations([grainy, plain, grainy], 2)]
    varied = apply_variation(frames, batched(items))
    rgb = frames.float() / 255
    torch.testing.assert_close(varied[0, 0], rgb[0, 0])
    torch.testing.assert_close(varied[0, 1], recolour(rgb[0, 1], turned.colour))
    torch.testing.assert_close(varied[0, 2], blurred(rgb[0, 2:], 0.8)[0].clamp(0, 1))
    torch.testing.assert_close(varied[1, 1], rgb[1, 1])
    noise = varied[1, ::2] - rgb[1, ::2]
    inside = (rgb[1, ::2] > 0.1) & (rgb[1, ::2] < 0.9)
    assert noise[inside].std() == pytest.approx(0.02, rel=0.15)
    assert not torch.equal(noise[0], noise[1])


def batched(variations):
    return ClipVariation(
        torch.stack([variation.colour for variation in variations]),
        [variation.blur for variation in variations],
        [variation.grain for variation in variations],
        [variation.warp for variation in variations],
        [variation.seed for variation in variations],
    )


def test_a_clip_varies_as_its_own_key_says_whatever_else_is_in_the_batch():
    grainy = replace(LIVELY, noise=0.05)
    clips = training([SampleFilm(s, size=(32, 32)) for s in range(3)], augmentation=grainy)
    items = [clips[key] for key in keys(3)]
    whole = to_clip(collate(items))
    for at, item in enumerate(items):
        alone = to_clip(collate([item]))
        torch.testing.assert_close(alone.lab[0], whole.lab[at], rtol=0, atol=1e-4)
        torch.testing.assert_close(alone.references[0], whole.references[at], rtol=0, atol=1e-4)


def test_a_first_reference_is_frame_0_with_its_grain():
    clips = training([SampleFilm(3, size=(32, 32))], augmentation=replace(LIVELY, noise=0.05, blur=1.0))
    clip = to_clip(collate([clips[key] for key in keys(2)]))
    assert clip.starts_coloured.all()
    assert torch.equal(clip.references[:, 0], clip.lab[:, 0])


def test_augmented_reference_resembles_a_frame_but_is_none():
    film = SampleFilm(4, size=(48, 48))
    clip = to_clip(collate([training([film], "augmented")[ClipKey(0, 0)]]))
    assert not clip.starts_coloured
    reference, frames = clip.references[0, 0], clip.lab[0]
    assert min((reference - frame).abs().mean() for frame in frames) > 2
    mean = (reference - frames[0]).mean(dim=(1, 2)).abs()
    assert (mean < 20).all()

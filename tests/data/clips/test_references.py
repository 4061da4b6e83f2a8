from dataclasses import replace

import numpy as np
import pytest
import torch

from flowchroma.data.clips.augmentation import Augmentation
from flowchroma.data.clips.batches import collate, to_clip
from flowchroma.data.clips.datasets import FilmGroup, TrainingClips
from flowchroma.data.clips.recipe import Recipe
from flowchroma.data.clips.sampler import ClipKey
from flowchroma.data.made.sample import SampleFilm
from flowchroma.errors import UserError

PLAIN = Augmentation(crop_scale=(1.0, 1.0), flip=0, reverse=0, hue=0, saturation=0, brightness=0, blur=0, noise=0)
SIZE = (24, 24)


def training(films, kinds, **changes):
    recipe = replace(Recipe(4, SIZE, stride=(1, 1), reference=kinds, augmentation=PLAIN), **changes)
    return TrainingClips([FilmGroup(films, 10)], recipe, "the test")


def many(clips, seeds=6):
    return [clips[ClipKey(index, seed)] for seed in range(seeds) for index in range(10)]


def tinted(fake_film, name, channel, frames=20):
    """A film of one colour, the brighter the later the frame."""

    def paint(index):
        frame = np.zeros((32, 48, 3), np.uint8)
        frame[..., channel] = 100 + 5 * index
        return frame

    return fake_film(name, frames=frames, paint=paint)


def colour_of(image):
    """The channel that an image is painted in."""
    return int(image.float().mean(dim=(1, 2)).argmax())


@pytest.fixture
def films(fake_film):
    return [tinted(fake_film, name, channel) for channel, name in enumerate(("red", "green", "blue"))]


def test_other_reference_is_of_another_film(films):
    clips = many(training(films, {"other": 1.0}))
    pairs = {(colour_of(clip.rgb[0]), colour_of(clip.references[0])) for clip in clips}
    assert pairs == {(a, b) for a in range(3) for b in range(3) if a != b}
    assert not any(clip.own_colours or clip.starts_coloured for clip in clips)


def test_other_comes_with_its_probability_and_says_so(films):
    clips = many(training(films, {"first": 0.5, "far": 0.2, "other": 0.3}), seeds=40)
    foreign = [colour_of(clip.rgb[0]) != colour_of(clip.references[0]) for clip in clips]
    assert [not clip.own_colours for clip in clips] == foreign
    assert 0.24 < np.mean(foreign) < 0.36


def test_other_is_a_pure_function_of_the_key():
    lively = Augmentation(crop_scale=(0.5, 0.9), blur=0.5)
    one, two = (
        training([SampleFilm(s, size=(32, 32)) for s in range(4)], {"other": 1.0}, augmentation=lively)
        for _ in range(2)
    )
    two[ClipKey(1, 1)]
    assert torch.equal(one[ClipKey(3, 5)].references, two[ClipKey(3, 5)].references)
    assert not torch.equal(one[ClipKey(3, 5)].references, one[ClipKey(3, 6)].references)


def test_a_film_without_others_gets_an_augmented_reference_of_its_own(films):
    clip = training(films[:1], {"other": 1.0})[ClipKey(0, 0)]
    assert colour_of(clip.references[0]) == colour_of(clip.rgb[0])
    assert clip.own_colours


def test_another_film_that_cannot_be_read_is_named_and_replaced(films, broken_film):
    clips = training([films[0], broken_film], {"other": 1.0})
    made = [clips[ClipKey(index, seed)] for seed in range(4) for index in range(0, 10, 2)]
    assert all(clip.names[0].startswith("red") for clip in made)
    assert all(clip.own_colours for clip in made)
    assert {entry for clip in made for entry in clip.skipped} == {"broken: frame 3 is corrupt"}


@pytest.mark.parametrize("count", [2, 3])
def test_several_references(films, count):
    clips = many(training(films, {"first": 1.0}, references=count), seeds=2)
    for clip in clips:
        assert clip.references.shape == (count, 3, *SIZE)
        assert torch.equal(clip.references[0], clip.rgb[0])
        assert clip.starts_coloured
        levels = {round(float(frame.float().amax(dim=0).mean())) for frame in (*clip.rgb, *clip.references[1:])}
        assert len(levels) == 4 + count - 1  # the others are far frames, each another
    batch = to_clip(collate(clips[:3]))
    assert batch.references.shape == (3, count, 3, *SIZE)


def test_one_reference_of_its_own_among_others_is_enough(films):
    clips = many(training(films, {"first": 0.5, "other": 0.5}, references=2))
    for clip in clips:
        own = [colour_of(reference) == colour_of(clip.rgb[0]) for reference in clip.references]
        assert bool(clip.own_colours) == any(own)
    assert {bool(clip.own_colours) for clip in clips} == {True, False}
    batch = to_clip(collate(clips[:4]))
    assert batch.own_colours.tolist() == [bool(clip.own_colours) for clip in clips[:4]]


def test_the_first_reference_does_not_depend_on_how_many_follow(films):
    for kinds in ({"first": 1.0}, {"far": 1.0}):
        one, three = (training(films, kinds, references=count)[ClipKey(2, 1)] for count in (1, 3))
        assert torch.equal(one.rgb, three.rgb)
        assert torch.equal(one.references[0], three.references[0])


def test_no_reference_is_refused():
    with pytest.raises(UserError, match=r"data\.references is 0"):
        Recipe(4, SIZE, references=0)

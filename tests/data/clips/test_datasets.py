import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from flowchroma.data.clips.augmentation import Augmentation
from flowchroma.data.clips.batches import collate, to_clip
from flowchroma.data.clips.datasets import ClipWindow, FilmGroup, TrainingClips, ValidationClips
from flowchroma.data.clips.recipe import Recipe
from flowchroma.data.clips.sampler import ClipKey
from flowchroma.data.made.sample import SampleFilm
from flowchroma.errors import UserError

PLAIN = Augmentation(crop_scale=(1.0, 1.0), flip=0, reverse=0, hue=0, saturation=0, brightness=0, blur=0, noise=0)
LIVELY = Augmentation(crop_scale=(0.5, 0.9), flip=0.5, reverse=0.5, blur=0.5, noise=0.0)
SIZE = (24, 24)


def only(kind):
    return {kind: 1.0}


def training(films, **changes):
    recipe = replace(Recipe(4, SIZE, stride=(1, 1), reference=only("first"), augmentation=PLAIN), **changes)
    return TrainingClips([FilmGroup(films, 10)], recipe, "the test")


def frame_numbers(rgb):
    """Which frames of a FakeFilm these are."""
    return [round(float(frame.float().mean()) / 10) for frame in rgb]


def keys(count, seed=0):
    return [ClipKey(index, seed) for index in range(count)]


def test_item_has_the_shapes_and_types_of_a_raw_clip(fake_film):
    clip = training([fake_film()])[ClipKey(0, 0)]
    assert (clip.rgb.shape, clip.rgb.dtype) == ((4, 3, *SIZE), torch.uint8)
    assert (clip.references.shape, clip.references.dtype) == ((1, 3, *SIZE), torch.uint8)
    assert (clip.flow.shape, clip.flow.dtype) == ((3, 2, *SIZE), torch.float32)
    assert (clip.visible.shape, clip.visible.dtype) == ((3, 1, *SIZE), torch.bool)
    assert not clip.has_flow
    assert not clip.visible.any()


@pytest.mark.parametrize(("stride", "reverse"), [((1, 1), 0), ((2, 3), 0), ((1, 1), 1), ((9, 9), 0)])
def test_frames_are_evenly_spaced_in_time(fake_film, stride, reverse):
    clips = training([fake_film()], stride=stride, augmentation=replace(PLAIN, reverse=reverse))
    steps, starts = set(), set()
    for key in keys(10):
        numbers = frame_numbers(clips[key].rgb)
        differences = set(np.diff(numbers).tolist())
        assert len(differences) == 1
        steps |= differences
        starts.add(numbers[0])
    if stride == (9, 9):  # 20 frames leave room for steps of 6
        assert steps == {6}
    else:
        assert steps == {-step if reverse else step for step in range(stride[0], stride[1] + 1)}
        assert len(starts) > 3


def test_first_reference_is_the_first_frame_itself(fake_film):
    noisy = replace(LIVELY, noise=0.1)
    for key in keys(5):
        clip = training([fake_film()], augmentation=noisy)[key]
        assert clip.starts_coloured
        assert torch.equal(clip.references[0], clip.rgb[0])


@pytest.mark.parametrize("gap", [2, None])
def test_far_reference_is_another_frame_of_the_film(fake_film, gap):
    clips = training([fake_film()], reference=only("far"), max_gap=gap)
    distances = []
    for key in [key for seed in range(5) for key in keys(10, seed)]:
        clip = clips[key]
        shown, (reference,) = frame_numbers(clip.rgb), frame_numbers(clip.references)
        assert reference not in shown
        assert not clip.starts_coloured
        distances.append(min(abs(reference - number) for number in shown))
    assert max(distances) == 2 if gap else max(distances) > 8


def test_film_without_another_frame_gets_an_augmented_reference(fake_film):
    clip = training([fake_film(frames=4)], reference=only("far"))[ClipKey(0, 0)]
    assert not clip.starts_coloured
    *shown, reference = clip.variation.warp
    assert shown == [None] * 4
    assert reference is not None


def test_kinds_of_reference_come_in_the_configured_proportion(fake_film):
    clips = training([fake_film()], reference={"first": 3, "far": 1})
    first = [bool(clips[key].starts_coloured) for seed in range(40) for key in keys(10, seed)]
    assert 0.68 < np.mean(first) < 0.82


def test_items_depend_on_the_key_alone():
    one, other = (training([SampleFilm(s, size=(32, 32)) for s in range(3)], augmentation=LIVELY) for _ in range(2))
    other[ClipKey(7, 7)]
    a, b = one[ClipKey(3, 5)], other[ClipKey(3, 5)]
    for name in ("rgb", "references", "flow", "visible"):
        assert torch.equal(getattr(a, name), getattr(b, name))
    assert torch.equal(a.variation.colour, b.variation.colour)
    assert (a.names, a.variation.blur, a.variation.grain, a.variation.seed) == (
        b.names,
        b.variation.blur,
        b.variation.grain,
        b.variation.seed,
    )
    assert not torch.equal(a.rgb, one[ClipKey(3, 6)].rgb)


def test_flow_of_an_augmented_clip_still_links_its_frames():
    """The film pans; whatever crop and flip, warping by the flow must explain the change between frames."""
    film = SampleFilm(11, size=(96, 128), light=0, noise=0)
    light_only = replace(PLAIN, crop_scale=(0.6, 0.9), flip=0.5)
    clips = training([film], size=(64, 64), augmentation=light_only)
    for key in keys(6):
        clip = clips[key]
        assert clip.has_flow
        rgb = clip.rgb.double()
        y, x = np.mgrid[:64, :64]
        for t in range(1, 4):
            seen = clip.visible[t - 1, 0].numpy()
            past_x = np.clip(np.rint(x + clip.flow[t - 1, 0].numpy()).astype(int), 0, 63)
            past_y = np.clip(np.rint(y + clip.flow[t - 1, 1].numpy()).astype(int), 0, 63)
            linked = np.abs(rgb[t - 1].numpy()[:, past_y, past_x] - rgb[t].numpy()).mean(0)[seen].mean()
            still = np.abs(rgb[t - 1].numpy() - rgb[t].numpy()).mean(0)[seen].mean()
            assert seen.mean() > 0.7
            assert linked < 0.8 * still or still < 1


def test_epochs_go_through_all_films(fake_film):
    films = [fake_film(f"film{k}") for k in range(7)]
    clips = TrainingClips([FilmGroup(films, 3)], Recipe(4, SIZE, augmentation=PLAIN), "the test")
    seen = {clips[ClipKey(index, epoch)].names[0].split()[0] for epoch in range(7) for index in range(3)}
    assert seen == {film.name for film in films}


def test_reading_asks_for_no_more_pixels_than_the_crop_needs(fake_film):
    film = fake_film(size=(240, 480))
    training([film], size=(60, 60))[ClipKey(0, 0)]
    assert film.asked == [(60, 120)]
    small = fake_film(size=(16, 16))
    assert training([small])[ClipKey(0, 0)].rgb.shape[-2:] == SIZE
    assert small.asked == [(16, 16)]


def test_frames_read_at_half_size_give_the_same_clip(fake_film):
    ramp = np.stack((*np.mgrid[:96, :120], np.zeros((96, 120))), axis=-1).astype(np.uint8) * 2
    half = ramp.reshape(48, 2, 60, 2, 3).mean((1, 3)).astype(np.uint8)
    crops = replace(PLAIN, crop_scale=(0.6, 0.9))
    whole, halved = (
        training([fake_film(size=(96, 120), paint=lambda index, frame=frame: frame)], augmentation=crops)
        for frame in (ramp, half)
    )
    for key in keys(5):
        difference = whole[key].rgb.float() - halved[key].rgb
        assert difference.abs().max() <= 5  # of 240: a pixel of the small frame, where boxes are rounded, is 4


def test_bad_film_is_replaced_and_named(fake_film, broken_film):
    clips = training([broken_film, fake_film("short", frames=3), fake_film("good")])
    made = [clips[key] for key in keys(10)]
    assert all(clip.names[0].startswith("good") for clip in made)
    told = {entry for clip in made for entry in clip.skipped}
    assert told == {"broken: frame 3 is corrupt", "short: it has 3 frames, and clips need 4"}
    assert clips[ClipKey(0, 0)].skipped == made[0].skipped


def test_when_nothing_can_be_read_the_error_is_handed_over(broken_film):
    error = training([broken_film])[ClipKey(0, 0)]
    assert isinstance(error, UserError)
    assert "from the test" in str(error)
    assert "broken: frame 3 is corrupt" in str(error)
    assert "\n" not in str(error)


def test_frames_of_different_size_are_a_bad_film(fake_film):
    film = fake_film("mixed", paint=lambda index: np.zeros((32 + index % 2, 32, 3), np.uint8))
    error = training([film])[ClipKey(0, 0)]
    assert "mixed: its frames have different sizes: 32 x 32, 32 x 33" in str(error)


def test_validation_is_plain_and_replaces_what_is_bad(fake_film, broken_film):
    good = fake_film("good", size=(24, 40))
    clips = ValidationClips([ClipWindow(broken_film, 0), ClipWindow(good, 5)], 3, SIZE, "the test")
    clip = clips[ClipKey(1, 0)]
    assert frame_numbers(clip.rgb) == [5, 6, 7]
    assert clip.starts_coloured
    assert torch.equal(clip.references[0], clip.rgb[0])
    assert clips[ClipKey(0, 0)].skipped == ("broken: frame 3 is corrupt",)
    assert torch.equal(clips[ClipKey(0, 0)].rgb, clip.rgb)


def test_validation_flow_is_the_films():
    film = SampleFilm(3, size=(40, 60))
    clip = ValidationClips([ClipWindow(film, 4)], 3, (40, 60), "the test")[ClipKey(0, 0)]
    flow, visible = film.read_flow([5, 6])
    assert torch.equal(clip.flow, flow)
    assert torch.equal(clip.visible, visible)
    np.testing.assert_array_equal(clip.rgb.permute(0, 2, 3, 1), np.stack(film.read([4, 5, 6])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": {"near": 1}}, "no kind near"),
        ({"reference": {"first": 0}}, "leaves no kind"),
        ({"reference": {}}, "leaves no kind"),
        ({"length": 1}, "at least 2 frames"),
        ({"stride": (3, 2)}, "least and the most"),
        ({"stride": (0, 2)}, "least and the most"),
    ],
)
def test_recipes_that_make_no_sense(changes, message):
    with pytest.raises(UserError, match=message):
        replace(Recipe(4, SIZE), **changes)


def test_a_batch_without_known_motion_carries_none(fake_film):
    raw = collate([training([fake_film()])[key] for key in keys(2)])
    assert raw.flow is None
    assert raw.visible is None
    clip = to_clip(raw)
    assert clip.flow.shape == (2, 3, 2, *SIZE)
    assert clip.visible.shape == (2, 3, 1, *SIZE)
    assert not clip.flow.any()
    assert not clip.visible.any()
    mixed = collate([training([film])[ClipKey(0, 0)] for film in (fake_film(), SampleFilm(0, size=SIZE))])
    assert mixed.has_flow.tolist() == [False, True]
    assert not mixed.flow[0].any()
    assert mixed.visible[1].any()


def test_clips_cross_to_another_process_whole(fake_film):
    raw = collate([training([SampleFilm(s, size=(32, 32))], augmentation=LIVELY)[key] for s, key in enumerate(keys(2))])
    copy = pickle.loads(pickle.dumps(raw))
    for name in ("rgb", "references", "flow", "visible", "has_flow", "starts_coloured"):
        assert torch.equal(getattr(copy, name), getattr(raw, name))
    assert torch.equal(copy.variation.colour, raw.variation.colour)
    assert (copy.names, copy.variation.blur, copy.variation.seed) == (raw.names, raw.variation.blur, raw.variation.seed)

import pickle

import numpy as np
import pytest
import torch

from flowchroma.color import rgb_to_lab
from flowchroma.data.made.photographs import photographs
from flowchroma.data.made.sample import Sample, SampleFilm, _lit_scene
from flowchroma.errors import UserError

SIZE = (48, 64)


def stack(film, indices):
    return np.stack(film.read(indices))


def test_is_a_pure_function_of_its_fields():
    film, again = SampleFilm(7, size=SIZE), pickle.loads(pickle.dumps(SampleFilm(7, size=SIZE)))
    first = stack(film, [3, 4])
    stack(SampleFilm(8, size=SIZE), [0])
    _lit_scene.cache_clear()
    np.testing.assert_array_equal(first, stack(again, [4, 0, 3])[[2, 0]])


def test_seeds_and_splits_differ():
    frames = [stack(SampleFilm(seed, size=SIZE, split=split), [0]) for seed in range(4) for split in ("train", "val")]
    for i, one in enumerate(frames):
        for other in frames[:i]:
            assert np.abs(one.astype(int) - other).mean() > 5


def test_training_and_validation_share_no_photograph():
    train, val = photographs("train"), photographs("val")
    assert len(train) >= 5
    assert len(val) >= 2
    assert not {photo.subject for photo in train} & {photo.subject for photo in val}
    stems = {photo.path.stem.removesuffix("_left").removesuffix("_right") for photo in train}
    assert not stems & {photo.path.stem for photo in val}


def test_missing_photographs_are_told(monkeypatch):
    photographs.cache_clear()
    monkeypatch.setattr("flowchroma.data.made.photographs.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install scikit-image"):
        photographs("train")


def test_motion_is_mostly_small_and_sometimes_large():
    lengths = []
    for seed in range(80):
        flow, _ = SampleFilm(seed, size=(32, 32)).read_flow([5, 20])
        lengths.append(flow.norm(dim=1).flatten() / 32)
    lengths = torch.cat(lengths)
    assert 0.001 < lengths.median() < 0.02
    assert lengths.quantile(0.9) < 0.04
    assert lengths.quantile(0.999) > 0.04
    assert lengths.max() < 0.14


def test_long_film_stays_smooth_and_objects_come_and_go():
    counts, largest = [], 0.0
    for seed in range(8):
        scene = _lit_scene(SampleFilm(seed, frames=400, size=(32, 48))).scene
        shown = {tuple(scene._owner(time).unique().tolist()) for time in range(0, 400, 20)}
        counts.append(len(shown))
        flow, _ = SampleFilm(seed, frames=400, size=(32, 48)).read_flow([390])
        largest = max(largest, float(flow.abs().max()) / 48)
    assert sum(count > 1 for count in counts) >= 6
    assert largest < 0.14


def test_first_frame_has_nothing_before_it():
    film = SampleFilm(1, size=SIZE)
    flow, visible = film.read_flow([0, 1])
    assert flow.shape == (2, 2, *SIZE)
    assert not visible[0].any()
    assert visible[1].float().mean() > 0.5


def test_unknown_frame_is_refused():
    with pytest.raises(UserError, match="frames are 0 to 39"):
        SampleFilm(1, size=SIZE).read([40])


def test_colours_are_rich():
    chroma = []
    for seed in range(30):
        rgb = torch.from_numpy(stack(SampleFilm(seed, size=SIZE), [10])).permute(0, 3, 1, 2)
        chroma.append(rgb_to_lab(rgb)[:, 1:].norm(dim=1).mean())
    assert torch.stack(chroma).mean() > 20
    assert torch.stack(chroma).median() > 15


def test_light_and_noise_can_be_turned_off():
    film = SampleFilm(5, size=SIZE, motion=0.0, light=0.0, noise=0.0)
    np.testing.assert_array_equal(*stack(film, [0, 30]))
    for changed in (SampleFilm(5, size=SIZE, motion=0.0, light=0.0), SampleFilm(5, size=SIZE, motion=0.0, noise=0.0)):
        assert (stack(changed, [0]) != stack(changed, [30])).any()


def test_source_lists_without_painting():
    source = Sample(SIZE, clips_per_epoch=11, train_films=300, val_films=5)
    assert len(source.films("train")) == 300
    assert {film.name for film in source.films("train")}.isdisjoint(film.name for film in source.films("val"))
    assert source.epoch_length(300) == 11

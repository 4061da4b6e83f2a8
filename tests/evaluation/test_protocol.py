import numpy as np
import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.evaluation import Protocol


def test_the_first_frame_is_the_reference_and_all_others_are_scored(clip):
    assert Protocol().scored(clip(frames=5)) == [1, 2, 3, 4]
    assert Protocol(frames=3).scored(clip(frames=5)) == [1, 2]
    assert Protocol(frames=9).scored(clip(frames=5)) == [1, 2, 3, 4]


def test_every_nth_frame_is_a_reference_and_none_of_these_is_scored(clip):
    assert Protocol(reference=3).scored(clip(frames=8)) == [1, 2, 4, 5, 7]
    assert "in 3" in Protocol(reference=3).describe()["reference"]


@pytest.mark.parametrize(
    "wrong",
    [{"reference": "last"}, {"reference": 1}, {"resize": (224,)}, {"resize": (8, 8)}, {"frames": 1}, {"size": 2.5}],
)
def test_what_makes_no_sense_is_a_wrong_option(wrong):
    with pytest.raises(UserError) as told:
        Protocol(**wrong)
    assert told.value.code == 2


def test_originals_come_whole_unless_the_protocol_resizes_them():
    frames = [np.full((40, 60, 3), n, np.uint8) for n in (7, 9, 11)]
    device = torch.device("cpu")
    whole = list(Protocol(frames=2).originals(frames, device))
    assert [tuple(f.shape) for f in whole] == [(1, 3, 40, 60)] * 2
    assert whole[1].unique().tolist() == [9]
    small = list(Protocol(resize=(20, 32)).originals(frames, device))
    assert small[0].shape == (1, 3, 20, 32)
    assert small[2].dtype == torch.uint8
    assert small[2].unique().tolist() == [11]

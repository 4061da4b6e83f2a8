from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.errors import UserError
from flowchroma.plans.frame_names import frame_of_name

FOLDER = SimpleNamespace()  # a film without a rate
NTSC = Fraction(30000, 1001)
NO_DIGITS = st.text(st.characters(codec="utf-8", exclude_characters="0123456789"), max_size=12)


def film(rate, count=20_000):
    return SimpleNamespace(rate=Fraction(rate), times=(1 / Fraction(rate), range(count), 1))


@settings(max_examples=50, deadline=None)
@given(NO_DIGITS, st.integers(0, 10**9), st.integers(0, 4), NO_DIGITS)
def test_one_number_is_the_frame_whatever_is_around_it(before, number, zeros, after):
    assert frame_of_name(f"{before}{'0' * zeros}{number}{after}", FOLDER) == number


@settings(max_examples=50, deadline=None)
@given(NO_DIGITS)
def test_a_name_without_a_number_is_refused(name):
    with pytest.raises(UserError, match="no number"):
        frame_of_name(name, FOLDER)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(" _-(xé"), st.integers(0, 10**6))
def test_two_numbers_are_refused(one, between, other):
    with pytest.raises(UserError, match="more than one number"):
        frame_of_name(f"{one}{between}{other}", FOLDER)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 19_999), st.sampled_from([24, 25, 30, 50]), st.sampled_from("-_:."))
def test_a_timecode_counts_frames(frame, rate, between):
    seconds, last = divmod(frame, rate)
    clock = between.join(f"{part:02}" for part in (seconds // 3600, seconds // 60 % 60, seconds % 60))
    for name in (f"{clock}.{last:02}", f"scene {clock}-{last:02}"):
        assert frame_of_name(name, film(rate)) == frame
        assert frame_of_name(name, FOLDER, Fraction(rate)) == frame


@pytest.mark.parametrize(
    ("name", "rate", "frame"),
    [
        ("00-01-12.08", Fraction(24000, 1001), 72 * 24 + 8),  # 23.976 is counted as 24
        ("00-01-12.08", NTSC, 72 * 30 + 8),
        ("00-01-00;02", NTSC, 1800),  # ;00 and ;01 are left out at the first minute
        ("00-10-00;00", NTSC, 17982),
        ("01-00-00;00", NTSC, 107892),
        ("00:00:10.500", Fraction(25), 262),  # milliseconds: nearest frame, the earlier of two
        ("00:00:10.520", Fraction(25), 263),
    ],
)
def test_timecodes_by_hand(name, rate, frame):
    assert frame_of_name(name, film(rate)) == frame


def test_a_timecode_in_a_film_of_uneven_times_is_a_time():
    uneven = SimpleNamespace(rate=Fraction(10), times=(Fraction(1, 1000), [500, 600, 1500, 2500, 2600], 100))
    assert [frame_of_name(f"00-00-0{name}", uneven) for name in ("0.00", "0.01", "1.00", "2.00")] == [0, 1, 2, 3]
    assert frame_of_name("00-00-09.00", uneven) > 4


@pytest.mark.parametrize(
    ("name", "rate", "said"),
    [
        ("00-01-12.25", 25, "a second has 25"),
        ("00-61-12.01", 25, "minutes and seconds"),
        ("00-01-00;00", NTSC, "leaves out"),
        ("00-01-12.08", None, "no frame rate"),
    ],
)
def test_timecodes_that_no_frame_has(name, rate, said):
    with pytest.raises(UserError, match=said):
        frame_of_name(name, film(rate) if rate else FOLDER)

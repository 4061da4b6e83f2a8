"""Stills and previews of a project, without a page."""

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.plans.gain_file import PLANNED, write_gains
from flowchroma.plans.plan_file import FilmIdentity, Plan, PlannedShot, still_name, write_plan, write_stills
from flowchroma.plans.plan_reading import read_plan
from flowchroma.studio.maps import maps
from flowchroma.studio.previews import Preview, Source
from flowchroma.studio.studio import Studio

from .films import LENGTH, MadeFilm

STILLS = (4, 20, 36)


@pytest.fixture
def studio(film: MadeFilm, tmp_path: Path) -> Studio:
    """A project of two shots, whose stills are gray."""
    made = Studio.open(tmp_path / "plan", None, torch.device("cpu"))
    made.project.choose(film.path)
    shots = (PlannedShot(0, LENGTH, STILLS[:2]), PlannedShot(LENGTH, 2 * LENGTH, STILLS[2:]))
    write_plan(made.project.folder, Plan(FilmIdentity.of(made.project.film), shots))
    write_stills(made.project.folder, made.project.film, STILLS)
    write_gains(made.project.folder / PLANNED, dict.fromkeys(STILLS, 1.5))
    return made


def accept(studio: Studio, film: MadeFilm, frame: int, folder: Path) -> str:
    return studio.stills.accept(frame, film.coloured(frame, folder / "mine.png"), "mine.png")


def test_a_coloured_still_takes_the_place_of_the_gray_one(studio: Studio, film: MadeFilm, tmp_path: Path) -> None:
    assert [(s.frame, s.shot, s.coloured, s.gain) for s in studio.stills.all()] == [
        (4, 1, False, 1.5), (20, 1, False, 1.5), (36, 2, False, 1.5)
    ]  # fmt: skip
    assert accept(studio, film, 20, tmp_path) == "mine.png fits frame 20 exactly"
    assert [s.coloured for s in studio.stills.all()] == [False, True, False]
    kept = cv2.imread(str(studio.project.folder / still_name(20)))
    assert (cv2.cvtColor(kept, cv2.COLOR_BGR2RGB) == film.truth(20)).all()
    assert not (studio.project.folder / "replaced").exists()  # a gray one is nothing to keep


def test_a_picture_that_is_moved_is_laid_on_its_frame_and_said_by_how_much(studio, film, tmp_path) -> None:
    moved = np.roll(film.truth(4), 3, axis=1)
    cv2.imwrite(str(tmp_path / "moved.png"), moved[..., ::-1])
    said = studio.stills.accept(4, tmp_path / "moved.png", "moved.png")
    assert re.match(r"moved\.png is shifted by -(2\.[89]|3\.[01]), -?0\.0 pixels,.* it is laid on frame 4", said)


def test_no_coloured_picture_is_ever_lost(studio: Studio, film: MadeFilm, tmp_path: Path) -> None:
    accept(studio, film, 4, tmp_path)
    first = (studio.project.folder / still_name(4)).read_bytes()
    cv2.imwrite(str(tmp_path / "paler.png"), (film.truth(4)[..., ::-1] * 0.9).astype(np.uint8))
    studio.stills.accept(4, tmp_path / "paler.png", "paler.png")
    second = (studio.project.folder / still_name(4)).read_bytes()
    studio.stills.uncolour(4)
    assert not studio.stills.all()[0].coloured
    accept(studio, film, 36, tmp_path)
    third = (studio.project.folder / still_name(36)).read_bytes()
    studio.stills.remove(36)
    assert [still.frame for still in studio.stills.all()] == [4, 20]
    kept = {path.read_bytes() for path in (studio.project.folder / "replaced").iterdir()}
    assert kept == {first, second, third}
    assert first != second


def test_frames_are_added_to_their_shots_and_taken_out_again(studio: Studio) -> None:
    studio.stills.add([30, 2])
    assert [shot.stills for shot in read_plan(studio.project.folder, studio.project.film).shots] == [
        (2, 4, 20),
        (30, 36),
    ]
    studio.stills.remove(30)
    studio.stills.remove(2)
    assert read_plan(studio.project.folder, studio.project.film).stills == STILLS
    with pytest.raises(UserError, match="the film has no frame 48: its frames are 0 to 47"):
        studio.stills.add([48])


def test_nothing_can_be_previewed_or_coloured_without_a_colour(studio: Studio) -> None:
    for act in (lambda: studio.preview(3, 32), lambda: studio.colour(32)):
        with pytest.raises(UserError, match="no still has colour yet: drop a coloured one first"):
            act()
    assert studio.jobs.status.state == "none"


def test_a_preview_takes_its_colours_from_the_stills_of_its_shot(
    studio: Studio, film: MadeFilm, tmp_path: Path
) -> None:
    for still in STILLS:
        accept(studio, film, still, tmp_path)
    near = studio.preview(5, 64)
    assert [source.name for source in near.sources] == ["still 4", "still 20"]
    assert sum(source.share for source in near.sources) == pytest.approx(1)
    assert near.sources[0].share > near.sources[1].share
    assert near.source.shape == near.error.shape == (64, 96)
    truth = film.truth(5).astype(int)
    assert np.abs(near.coloured - truth).mean() < 0.6 * np.abs(near.gray - truth).mean()
    (source,) = studio.preview(30, 64).sources
    assert source == Source("still 36", 1.0)


def test_what_is_asked_for_again_is_computed_again_only_if_something_changed(studio, film, tmp_path) -> None:
    accept(studio, film, 4, tmp_path)
    first = studio.preview(5, 64)
    assert studio.preview(5, 64) is first
    assert studio.preview(5, 32) is not first
    studio.preview(5, 64)
    accept(studio, film, 20, tmp_path)
    assert [source.name for source in studio.preview(5, 64).sources] == ["still 4", "still 20"]


def test_a_frame_that_is_a_still_keeps_its_own_colours(studio: Studio, film: MadeFilm, tmp_path: Path) -> None:
    accept(studio, film, 20, tmp_path)
    made = studio.preview(20, 64)
    assert made.given
    assert made.error.max() == 0
    assert made.sources[0] == Source("still 20", 1.0)
    assert np.abs(made.coloured.astype(int) - film.truth(20)).mean() < 3
    assert not studio.preview(21, 64).given


def test_a_picture_of_something_else_is_named_where_it_lends_its_colours(studio, film, tmp_path) -> None:
    accept(studio, film, 4, tmp_path)
    film.coloured(40, tmp_path / "000040.png")
    said = studio.stills.refer(tmp_path / "000040.png", "000040.png", [2])
    assert said == "000040.png lends its colours to shot 2"
    assert [path.name for path in read_plan(studio.project.folder, studio.project.film).others] == [
        "picture 000040.png"
    ]
    assert [source.name for source in studio.preview(30, 64).sources] == ["picture 000040.png"]
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((40, 40, 3), 90, np.uint8))
    with pytest.raises(UserError, match=r"gray\.png is gray: drop a coloured picture"):
        studio.stills.refer(tmp_path / "gray.png", "gray.png", [])


def test_a_picture_that_would_fill_the_memory_is_refused_by_its_header(studio: Studio, tmp_path: Path) -> None:
    """A PNG of a few kilobytes that says it has 60000 x 60000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )
    with pytest.raises(UserError, match=r"bomb\.png") as caught:
        studio.stills.accept(4, tmp_path / "bomb.png", "bomb.png")
    assert "save it" in str(caught.value)


def test_maps_say_in_letters_and_numbers_what_they_show_in_colours() -> None:
    gray = np.zeros((40, 60, 3), np.uint8)
    source = np.zeros((40, 60), int)
    source[:, 40:] = 1
    error = np.full((40, 60), 2.0)
    error[:, 40:] = 12.5
    made = Preview(3, gray, gray, [Source("still 1", 2 / 3), Source("<b>sea.png</b>", 1 / 3)], source, error, False)
    page = maps(made)
    assert ">A</span>still 1: 67%" in page
    assert ">B</span>&lt;b&gt;sea.png&lt;/b&gt;: 33%" in page
    assert "<tr><td>2.0</td><td>2.0</td><td>12.5</td></tr>" in page
    assert "5.5 CIELAB units on average, 12 at most" in page


def test_what_is_written_on_a_bright_map_has_a_dark_edge() -> None:
    gray, bright = np.zeros((40, 60, 3), np.uint8), np.full((40, 60), 30.0)
    sources = [Source(f"still {at}", at / 6) for at in range(7)]  # the last is shown in yellow
    page = maps(Preview(3, gray, gray, sources, np.full((40, 60), 6), bright, False))
    pictures = re.findall('src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 2
    for picture in pictures:
        drawn = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)
        light = drawn.min(axis=2) > 230
        around = cv2.dilate(light.astype(np.uint8), np.ones((7, 7))) > 0
        assert light.sum() > 50
        assert (drawn[around].max(axis=1) < 60).sum() > 0.5 * light.sum()


def test_a_plan_that_was_edited_wrongly_is_told_with_its_line(studio: Studio) -> None:
    path = studio.project.folder / "plan.yaml"
    path.write_text(path.read_text().replace("frames: [0, 23]", "frames: [0, 22]"))
    with pytest.raises(UserError, match=r"line [0-9]+: frames .* leave out frame 23"):
        studio.stills.all()

import json
import os
from pathlib import Path

import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import open_film
from flowchroma.film.image_files import write_png
from flowchroma.plans import Shot, load_shots, save_shots

SHOTS = [Shot(0, 2, tail=1), Shot(2, 4, coloured=True, begins="dissolve", head=1)]


def folder_film(folder: Path, frames: int = 4):
    folder.mkdir(exist_ok=True)
    for n in range(frames):
        write_png(folder / f"{n}.png", np.full((8, 8, 3), n, np.uint8))
    return open_film(folder)


def test_shots_come_back_as_they_were_saved(tmp_path: Path) -> None:
    film = folder_film(tmp_path / "film")
    assert load_shots(tmp_path / "work", film) is None
    save_shots(tmp_path / "work", film, SHOTS)
    assert load_shots(tmp_path / "work", film) == SHOTS
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["shots.json"]


def test_shots_of_another_film_are_not_taken(tmp_path: Path) -> None:
    save_shots(tmp_path / "work", folder_film(tmp_path / "film"), SHOTS)
    assert load_shots(tmp_path / "work", folder_film(tmp_path / "other")) is None
    assert load_shots(tmp_path / "work", folder_film(tmp_path / "film", 5)) is None


def test_shots_of_a_film_that_was_changed_are_not_taken(tmp_path: Path) -> None:
    film = folder_film(tmp_path / "film")
    save_shots(tmp_path / "work", film, SHOTS)
    state = (tmp_path / "film" / "3.png").stat()
    os.utime(tmp_path / "film" / "3.png", ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    assert load_shots(tmp_path / "work", open_film(tmp_path / "film")) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held["shots"].pop(),
        lambda held: held["shots"][1].update(start=3),
        lambda held: held["shots"][0].update(colour=1),
        lambda held: held["shots"][0].update(stop="2"),
        lambda held: held["film"].update(method=0),
        lambda held: held.update(shots=None),
    ],
)
def test_a_damaged_file_is_not_taken(tmp_path: Path, change) -> None:
    film = folder_film(tmp_path / "film")
    save_shots(tmp_path, film, SHOTS)
    held = json.loads((tmp_path / "shots.json").read_text())
    change(held)
    (tmp_path / "shots.json").write_text(json.dumps(held))
    assert load_shots(tmp_path, film) is None
    (tmp_path / "shots.json").write_text('{"film"')
    assert load_shots(tmp_path, film) is None


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    film = folder_film(tmp_path / "film")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*shots\.json"):
        save_shots(tmp_path / "file" / "below", film, SHOTS)

import pytest

from flowchroma.data import ClipDataModule, NamedFilms
from flowchroma.errors import UserError


def names(source):
    return [film.name for film in source.films("test")]


def test_what_is_there_of_a_list_comes_in_the_order_of_the_list(davis):
    root = davis()
    source = NamedFilms(root, ["c", "nowhere", "a"])
    assert names(source) == ["c", "a"]
    films, listed = ClipDataModule({"set": source}).test_films()
    assert (len(films), listed) == (2, 3)
    assert len(films[0]) == 6
    assert [f.shape for f in films[0]] == [(24, 32, 3)] * 6


def test_a_resolution_is_chosen_as_in_training(davis):
    root = davis(("240p", "480p"))
    assert NamedFilms(root, ["a"]).films("test")[0].path.parent.name == "480p"
    assert NamedFilms(root, ["a"], "240p").films("test")[0].path.parent.name == "240p"
    with pytest.raises(UserError, match="it has: 240p, 480p"):
        NamedFilms(root, ["a"], "1080p").films("test")


def test_any_folder_is_a_set(tmp_path, write_frames, monkeypatch):
    write_frames(tmp_path / "one", 3)
    write_frames(tmp_path / "deep" / "two", 3)
    assert names(NamedFilms(tmp_path)) == ["deep/two", "one"]
    assert names(NamedFilms(tmp_path / "one")) == ["one"]
    monkeypatch.chdir(tmp_path / "one")
    assert names(NamedFilms(".")) == ["one"]
    assert names(NamedFilms(tmp_path, ["two"])) == ["two"]


def test_one_name_in_two_places_is_refused(tmp_path, write_frames):
    write_frames(tmp_path / "a" / "one", 3)
    write_frames(tmp_path / "b" / "one", 3)
    with pytest.raises(UserError, match="more than once"):
        NamedFilms(tmp_path, ["one"]).films("test")


@pytest.mark.parametrize("split", ["train", "val"])
def test_nothing_is_trained_on_a_test_set(davis, split):
    with pytest.raises(UserError, match="evaluate alone"):
        NamedFilms(davis(), ["a"]).films(split)


@pytest.mark.parametrize(("root", "told"), [(None, "not set"), ("nowhere", "nothing at nowhere")])
def test_a_missing_root_is_told(root, told):
    with pytest.raises(UserError, match=told):
        NamedFilms(root).films("test")


def test_a_set_without_any_of_its_films_is_told(davis):
    with pytest.raises(UserError, match="none of the 2 films"):
        NamedFilms(davis(), ["x", "y"]).films("test")


@pytest.mark.parametrize(("name", "count"), [("davis30", 30), ("videvo20", 20)])
def test_the_published_lists_are_whole(compose, shared, name, count):
    listed = compose(f"data={name}").data.sources[name].names
    file = shared / "data" / "lists" / f"{name.rstrip('0123456789')}_test.txt"
    assert len(listed) == count
    assert sorted(listed) == sorted(file.read_text().split())

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from flowchroma.app.options import compose_options, escape, named_references, parts_of, quote
from flowchroma.app.run.run_options import TEXTS, current_spelling
from flowchroma.app.settings import CONF, pick_device
from flowchroma.errors import UserError

NAMES = [
    "My film (1923), part 1.mp4",
    "a=b, {c}: [d] #e.mp4",
    'it\'s "quoted".mp4',
    "'tis.mp4",
    "映画 ünïcode.mp4",
    "${oc.env:HOME} $x.mp4",
    "back\\slash\\'.mp4",
    "null, true and 1e3.mp4",
    "-dash.mp4",
]


def compose_one(argument):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose_options("colorize", [argument], ("source", "reference", "output", "checkpoint"))


@pytest.mark.parametrize(
    "name", [*NAMES, "trailing\\", "two\\\\", "\\'", "'", '"', " blank ", "a'", "first", "3", "a\tb"]
)
def test_quoting_gives_hydra_the_very_name(name):
    assert compose_one(f"source={name}").source == name


@pytest.mark.parametrize("argument", ["source='My film, 1.mp4'", 'source="My film, 1.mp4"'])
def test_what_is_quoted_already_is_left_alone(argument):
    assert compose_one(argument).source == "My film, 1.mp4"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model.checkpoint=RUN", "weights.model=RUN"),
        ("+stage.flow.checkpoint=a b=c", "weights.flow=a b=c"),
        ("++stage.matcher.checkpoint=null", "weights.matcher=null"),
        ("~stage.flow.checkpoint", "weights.flow=null"),
        ("model.checkpoint=one,two", "weights.model=one,two"),
        *((same, same) for same in ("checkpoint=RUN", "callbacks.checkpoint.mode=min", "data.root=model.checkpoint=x")),
    ],
)
def test_the_spelling_of_earlier_releases_is_understood(old, new):
    assert current_spelling(old) == new
    assert current_spelling(new) == new


def test_null_is_no_name():
    assert compose_one("checkpoint=null").checkpoint is None


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(UserError, match=name):
            pick_device(name)


def test_a_list_has_parts_and_a_word_is_one():
    assert parts_of("[dis, a/b,c]") == ["dis", "a/b", "c"]
    assert parts_of("dis") == ["dis"]
    assert parts_of("[]") == []


@pytest.mark.parametrize("argument", ["sorce=x", "source", "=x", "reference.deep"])
def test_an_unknown_option_is_named(argument):
    with pytest.raises(UserError, match="unknown option") as told:
        compose_one(argument)
    assert told.value.code == 2


def test_a_preset_sets_the_size_and_a_size_goes_before_it():
    assert compose_one("preset=fast").size < compose_one("preset=full").size == 240
    with initialize_config_dir(CONF, version_base="1.3"):
        assert compose_options("colorize", ["preset=fast", "size=200"], ()).size == 200
    with pytest.raises(UserError, match="nope") as told:
        compose_one("preset=nope")
    assert told.value.code == 2


def test_names_in_a_list_may_have_commas_brackets_and_blanks(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("A, with comma.png", "B.png", "A", "[C,D]", " E "):
        (tmp_path / name).touch()
    assert parts_of("[A, with comma.png,B.png]") == ["A, with comma.png", "B.png"]
    assert parts_of("[B.png, A,C]") == ["B.png", "A", "C"]
    assert parts_of("[C,D]") == named_references("[C,D]") == ["[C,D]"]
    assert parts_of("[[C,D], E ,[C]") == ["[C,D]", " E ", "[C"]


def read_by_hydra(argument, sweep=False):
    return OverridesParser.create().parse_override(quote(argument, TEXTS, interpolated=True, sweep=sweep))


keys = st.sampled_from([text.replace("*", "one.two") for text in TEXTS] + ["+data.root.films", "weights.model"])
names = st.text("ab =,([{}])#'\"\\é$:", min_size=1, max_size=12).filter(lambda name: "${" not in name)


@given(keys, names)
def test_a_run_takes_a_path_as_it_is_typed(key, name):
    name = f"x{name}"  # what is in quotes already is left alone
    assert read_by_hydra(f"{key}={name}").value() == name
    if key.startswith("hydra."):
        assert read_by_hydra(f"{key}={name}", sweep=True).value() == name


@given(names)
def test_a_name_comes_back_from_double_quotes(name):
    """Lightning gives hydra.run.dir like this to the processes that it starts."""
    assert OverridesParser.create().parse_override(f'hydra.run.dir="{escape(name, mark=chr(34))}"').value() == name


@given(names, names)
def test_a_mapping_takes_its_paths_as_they_are_typed(one, other):
    one, other = f"x{one.strip()}".replace(":", "."), f"x{other.strip()}".replace(":", ".")
    typed = f"data.root={{davis:{one}, videvo: {other},images:null}}"
    assert read_by_hydra(typed).value() == {"davis": one, "videvo": other, "images": None}


def test_a_comma_is_a_sweep_unless_the_path_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c,d=e (f) [g]").mkdir()
    swept = read_by_hydra("weights.model=a b,c#',c,d=e (f) [g]", sweep=True)
    assert swept.is_sweep_override()
    assert [str(element) for element in swept.sweep_string_iterator()] == ["'a b'", "'c#\\''", "'c,d=e (f) [g]'"]
    alone = read_by_hydra("data.root=c,d=e (f) [g]", sweep=True)
    assert alone.value() == "c,d=e (f) [g]"
    assert quote("model=simple,unet", TEXTS, sweep=True) == "model=simple,unet"


def test_what_hydra_reads_itself_stays_as_it_is():
    assert read_by_hydra("hydra.run.dir=my runs, 1/${now:%H}").value() == "my runs, 1/${now:%H}"
    for typed in ("glob(*)", "choice(a,b)", "'a,b'", "'a,b',\"c\""):
        assert quote(f"weights.model={typed}", TEXTS, sweep=True) == f"weights.model={typed}"
    roots = read_by_hydra("data.root={davis:a b,videvo:c}", sweep=True)
    assert roots.value() == {"davis": "a b", "videvo": "c"}
    assert compose_one("output=${x}").output == "${x}"

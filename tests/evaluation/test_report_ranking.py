import io
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flowchroma.evaluation.measures import BY_KEY, MEASURES
from flowchroma.evaluation.report import MethodScores, Report, print_table
from flowchroma.evaluation.report.charts import chart_data
from flowchroma.evaluation.report.ranking import rank, ranking_summary


def scored(**means):
    """A report of methods with these means, on one clip."""
    methods = {}
    for name, values in means.items():
        clip = {key: value for key, value in values.items() if key not in ("fid", "seconds_per_frame")}
        mean = {key: value for key, value in values.items() if key != "seconds_per_frame"}
        methods[name] = MethodScores({"bear": clip}, mean, values.get("seconds_per_frame"))
    return Report({}, methods)


def places(report, key):
    table = rank(report)
    column = [measure.key for measure in table.columns].index(key)
    return {row.method: row.cells[column].place for row in table.rows}


@pytest.mark.parametrize(
    ("key", "worst", "second", "best"),
    [
        ("psnr", 20.0, 30.0, 31.0),
        ("psnr", 20.0, 30.0, math.inf),
        ("ciede2000", 9.0, 3.0, 2.0),
        ("fid", 90.0, 30.0, 20.0),
        ("seconds_per_frame", 2.0, 0.2, 0.1),
        ("colorfulness_ratio", 1.4, 0.8, 1.1),
        ("colorfulness_ratio", 0.2, 1.1, 0.95),
        ("warp_error", 0.004, 0.003, 0.002),
    ],
)
def test_best_is_where_better_lies(key, worst, second, best):
    report = scored(c={key: worst}, b={key: second}, a={key: best})
    assert places(report, key) == {"c": 0, "b": 2, "a": 1}


def test_measures_without_a_better_have_no_best():
    assert set(places(scored(a={"cdc": 0.001}, b={"cdc": 0.002}), "cdc").values()) == {0}


def test_what_looks_equal_ties():
    report = scored(a={"psnr": 31.001}, b={"psnr": 31.004}, c={"psnr": 31.01}, d={"psnr": 30.0})
    assert places(report, "psnr") == {"c": 1, "a": 2, "b": 2, "d": 0}
    report = scored(a={"colorfulness_ratio": 0.9}, b={"colorfulness_ratio": 1.1}, c={"colorfulness_ratio": 2.0})
    assert places(report, "colorfulness_ratio") == {"a": 1, "b": 1, "c": 2}


def test_bounds_absent_figures_and_lone_methods_do_not_compete():
    report = scored(oracle={"psnr": 44.0}, gray={"psnr": 43.0}, a={"psnr": 30.0}, b={"psnr": None}, c={"psnr": 29.0})
    assert places(report, "psnr") == {"a": 1, "c": 2, "b": 0, "oracle": 0, "gray": 0}
    report = scored(oracle={"psnr": 44.0}, a={"psnr": 30.0}, b={"psnr": math.nan})
    assert set(places(report, "psnr").values()) == {0}


def test_the_mean_of_fewer_clips_is_marked_and_never_best():
    whole = MethodScores({"easy": {"psnr": 40.0}, "hard": {"psnr": 20.0}}, {"psnr": 30.0})
    lucky = MethodScores({"easy": {"psnr": 39.0}}, {"psnr": 39.0})
    gap = MethodScores({"easy": {"psnr": 39.0}, "hard": {"psnr": None}}, {"psnr": 39.0})
    other = MethodScores({"easy": {"psnr": 35.0}, "hard": {"psnr": 19.0}}, {"psnr": 27.0})
    report = Report({}, {"lucky": lucky, "gap": gap, "whole": whole, "other": other})
    assert places(report, "psnr") == {"whole": 1, "other": 2, "lucky": 0, "gap": 0}
    table = rank(report)
    assert [row.cells[0].partial for row in table.rows] == [None, None, 1, 1]
    assert table.contenders[0] == "whole"


def test_means_over_different_clips_are_not_compared():
    a = MethodScores({"easy": {"psnr": 40.0}}, {"psnr": 40.0})
    b = MethodScores({"hard": {"psnr": 20.0}}, {"psnr": 20.0})
    report = Report({}, {"a": a, "b": b})
    assert places(report, "psnr") == {"a": 0, "b": 0}
    assert ranking_summary(report, rank(report)) == ""


@given(st.lists(st.floats(0, 60), min_size=2, max_size=6), st.sampled_from([m for m in MEASURES if m.key != "fid"]))
def test_nobody_beats_the_best(values, measure):
    report = scored(**{f"m{i}": {measure.key: value} for i, value in enumerate(values)})
    best = [name for name, place in places(report, measure.key).items() if place == 1]
    if measure.direction == "none":
        assert not best
        return
    shown = {name: round(values[int(name[1:])] * measure.scale, measure.digits) for name in report.methods}
    goodness = {"higher": lambda v: v, "lower": lambda v: -v, "closest to 1": lambda v: -round(abs(v - 1), 3)}
    good = {name: goodness[measure.direction](value) for name, value in shown.items()}
    assert set(best) == {name for name, value in good.items() if value == max(good.values())}


def test_unknown_measures_are_refused():
    with pytest.raises(ValueError, match="psnr_y"):
        rank(scored(a={"psnr_y": 3.0}))


def test_missing_figures_are_explained_by_the_protocol_or_the_measure():
    report = replace(
        scored(a={"psnr": 30.0, "fid": None, "lpips_vgg": None}), protocol={"absent": {"fid": "one clip."}}
    )
    assert rank(report).notes == {"lpips_vgg": BY_KEY["lpips_vgg"].absent, "fid": "one clip"}


def test_the_verdict_says_who_leads_by_how_much_and_where():
    a = MethodScores({"x": {"psnr": 30.0}, "y": {"psnr": 32.0}, "z": {"psnr": 31.0}}, {"psnr": 31.0})
    b = MethodScores({"x": {"psnr": 31.0}, "y": {"psnr": 29.0}, "z": {"psnr": 30.0}}, {"psnr": 30.0})
    ceiling = MethodScores({}, {"psnr": 44.0})
    report = Report({}, {"b": b, "oracle": ceiling, "a": a})
    assert (
        ranking_summary(report, rank(report)) == "a is best: PSNR 31.00 dB, 1.00 dB above b, and ahead on 2 of 3 clips."
    )
    tie = Report({}, {"a": a, "c": a})
    assert ranking_summary(tie, rank(tie)) == "a and c tie: PSNR 31.00 dB."
    for alone in (Report({}, {}), Report({}, {"oracle": ceiling})):
        assert ranking_summary(alone, rank(alone)) == ""


def test_the_mean_by_frame_is_over_the_clips_that_have_it():
    frames = {
        "long": {"frame": [1, 2, 3], "psnr": [30.0, 20.0, 10.0]},
        "short": {"frame": [1, 2], "psnr": [40.0, math.inf]},
    }
    report = Report(
        {}, {"a": MethodScores({"long": {"psnr": 20.0}, "short": {"psnr": None}}, {"psnr": 20.0}, None, frames)}
    )
    mean, long, short = chart_data(report, rank(report))["byFrame"]["psnr"]
    assert mean["series"] == [{"x": [1, 2, 3], "y": [35.0, None, 10.0]}]
    assert (mean["ends"], long["ends"]) == (2, None)
    assert (long["name"], short["series"]) == ("long", [{"x": [1, 2], "y": [40.0, None]}])


def test_methods_keep_their_look_whoever_wins():
    def looks(**psnr):
        report = scored(**{name: {"psnr": value} for name, value in psnr.items()})
        return {m["name"]: (m["color"], m["symbol"]) for m in chart_data(report, rank(report))["methods"]}

    first, second = looks(a=1.0, oracle=9.0, b=2.0), looks(a=2.0, oracle=9.0, b=1.0)
    assert first == second
    many = looks(**{f"m{i}": float(i) for i in range(20)})
    assert len(set(many.values())) == 20


def printed(report, width, styled=False):
    stream = io.StringIO()
    print_table(
        report,
        Console(
            file=stream,
            width=width,
            force_terminal=styled,
            color_system="standard" if styled else None,
            legacy_windows=False,
        ),
    )
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_shows_every_figure_at_any_width(width):
    figures = {measure.key: 0.1 + i for i, measure in enumerate(MEASURES)}
    report = scored(a_method=figures, **{"[red]": {**figures, "psnr": None}})
    text = printed(report, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for measure in MEASURES:
        assert text.count(measure.show(figures[measure.key])) >= (1 if measure.key == "psnr" else 2)
    assert "[red]" in text
    assert BY_KEY["psnr"].absent in text


def test_the_terminal_prints_the_best_in_bold():
    text = printed(scored(a={"psnr": 31.0}, b={"psnr": 30.0}), 80, styled=True)
    assert "\x1b[1m31.00" in text
    assert "\x1b[1m30.00" not in text

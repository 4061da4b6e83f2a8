"""A report of a film that was interrupted, torn or could not be told of."""

import re

import pytest

from flowchroma.app.colouring import assignments, job, report_page
from flowchroma.app.colouring.uncertainty import read_uncertainty
from flowchroma.film import open_film

from .page import Page


def test_a_film_that_is_gone_on_with_is_told_of_as_a_whole(tmp_path, run, system, monkeypatch, shots, picture):
    monkeypatch.setattr(assignments, "_PIECE", 6)
    shots(tmp_path / "in")
    picture(tmp_path / "ref.png")
    assert run("source=in", "reference=ref.png", "output=whole.mp4", "report=true")[0] == 0
    match, count = system.matcher.match, len(system.calls)

    def fail(*given):
        if len(system.calls) > count + 18:
            raise KeyboardInterrupt
        return match(*given)

    monkeypatch.setattr(system.matcher, "match", fail)
    with pytest.warns(UserWarning, match="frames of .* are done and kept"):
        assert run("source=in", "reference=ref.png", "output=out.mp4", "report=true")[0] == 130
    assert not (tmp_path / "out.report.html").exists()
    monkeypatch.setattr(system.matcher, "match", match)
    assert run("source=in", "reference=ref.png", "output=out.mp4", "report=true")[0] == 0
    whole, parts = (re.sub("whole", "out", (tmp_path / f"{name}.report.html").read_text()) for name in ("whole", "out"))
    assert whole == parts


def test_what_is_torn_is_a_gap_and_the_rest_is_told(tmp_path, run, system, monkeypatch, shots, picture):
    monkeypatch.setattr(assignments, "_PIECE", 6)
    shots(tmp_path / "in", (18,))
    picture(tmp_path / "ref.png")

    def torn(store, assigned):
        for path in (*store.folder.glob("errors-6-12-*"), *store.folder.glob("worst-12-18-*")):
            path.write_bytes(path.read_bytes()[:20])
        return read_uncertainty(store, assigned)

    monkeypatch.setattr(job, "read_uncertainty", torn)
    assert run("source=in", "reference=ref.png", "output=out.mp4", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert [error is None for error in page.data["errors"]] == [False] * 6 + [True] * 6 + [False] * 6
    assert page.markup.count("<polyline") == 2


@pytest.mark.filterwarnings("ignore:.*is whole, but what it was unsure of is not told.*")
def test_a_report_that_fails_costs_no_film(tmp_path, run, system, monkeypatch, shots, picture):
    shots(tmp_path / "in", (12,))
    picture(tmp_path / "ref.png")
    given = ("source=in", "reference=ref.png", "report=true")
    (tmp_path / "a.stills").write_text("no folder")
    (tmp_path / "b.report.html").mkdir()
    for name in ("a", "b"):
        code, out, _ = run(*given, f"output={name}.mp4")
        assert (code, out.startswith("12 frames, ")) == (0, True)
        assert "unsure" not in out
        assert len(open_film(tmp_path / f"{name}.mp4")) == 12
    monkeypatch.setattr(report_page, "_headline", lambda *given: 1 / 0)
    with pytest.warns(UserWarning, match=r"c.mp4 is whole, but what it was unsure of is not told: ZeroDivisionError"):
        assert run(*given, "output=c.mp4")[0] == 0
    monkeypatch.setattr(report_page, "_headline", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    code, _, err = run(*given, "output=d.mp4")
    assert (code, "d.mp4 is whole" in err, "Traceback" in err) == (130, True, False)
    assert len(open_film(tmp_path / "d.mp4")) == 12

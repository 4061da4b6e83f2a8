"""A film that is coloured in a studio outlasts whatever ends it."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowchroma.errors import UserError
from flowchroma.film import open_film
from flowchroma.film.segments.work import Work
from flowchroma.plans.plan_reading import read_plan
from flowchroma.studio.jobs import Jobs
from flowchroma.studio.runner import can_pause

from .conftest import command, served

pytest.importorskip("gradio", reason="no Gradio: pip install 'flowchroma[studio]'")


@pytest.fixture(scope="module")
def planned(film, tmp_path_factory) -> Path:
    """A project whose stills are coloured, with what an undisturbed command makes of it beside it."""
    folder = tmp_path_factory.mktemp("job")
    done = command("plan", f"source={film.path}", "output=plan", "stills=2", "device=cpu", folder=folder)
    assert done.returncode == 0, done.stderr
    for still in read_plan(folder / "plan").stills:
        film.coloured(still, folder / "plan" / f"{still:06}.png")
    line = ["plan=plan", "output=undisturbed.mp4", "size=32", "device=cpu", "report=false"]
    done = command("colorize", *line, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "plan"


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def held(plan: Path) -> dict:
    return json.loads((plan / ".studio" / "job.json").read_text())


def done(plan: Path) -> int:
    """How many frames the job says that it has done."""
    try:
        return json.loads((plan / ".studio" / "progress.json").read_text())["done"]
    except (OSError, ValueError):
        return 0


def options(plan: Path) -> list[str]:
    return [f"plan={plan}", f"output={plan / 'film.mp4'}", "size=32", "device=cpu", "report=false", "overwrite=true"]


def test_a_job_that_is_killed_with_its_studio_goes_on_to_the_same_frames(planned: Path) -> None:
    jobs = Jobs(planned / ".studio")
    jobs.start("colorize", options(planned))
    jobs.close()  # before it began: a studio that is opened goes on with it
    with served("project=plan", folder=planned.parent) as studio:
        until(lambda: done(planned) > 30)
        studio.kill()
    assert held(planned)["state"] == "running"
    assert not (planned / "film.mp4").exists()
    with served("project=plan", folder=planned.parent):
        until(lambda: held(planned)["state"] == "done")
    whole, resumed = open_film(planned.parent / "undisturbed.mp4"), open_film(planned / "film.mp4")
    assert len(whole) == len(resumed) == 48
    assert all((one == other).all() for one, other in zip(whole, resumed, strict=True))


@pytest.mark.skipif(not can_pause(), reason="this system cannot hold a process")
def test_a_job_is_held_where_it_is_and_cancelled_without_losing_what_is_done(planned: Path) -> None:
    (planned / "film.mp4").unlink(missing_ok=True)
    jobs = Jobs(planned / ".studio")
    try:
        jobs.start("colorize", [*options(planned)[:2], "size=40", *options(planned)[3:]])
        until(lambda: done(planned) > 2)
        jobs.pause()
        assert jobs.status.state == "paused"
        time.sleep(1)
        before = done(planned)
        time.sleep(1.5)
        assert done(planned) == before
        with pytest.raises(UserError, match="colouring is paused: wait until it is done, or cancel it first"):
            jobs.start("plan", [])
        jobs.go_on()
        until(lambda: Work(planned / "film.mp4").frames() > 0)
        jobs.pause()
        jobs.cancel()
        status = jobs.status
        assert (status.state, status.progress) == ("cancelled", None)
        assert not (planned / "film.mp4").exists()
        assert Work(planned / "film.mp4").frames() == 24  # the first shot
    finally:
        jobs.close()


def test_a_job_that_fails_says_why_in_its_own_words(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / ".studio")
    jobs.start("colorize", [f"plan={tmp_path}", f"output={tmp_path / 'film.mp4'}"])
    until(lambda: jobs.status.state == "failed")
    assert jobs.status.line.startswith(f"no plan at {tmp_path / 'plan.yaml'}: make one")
    jobs.start("plan", ["source=nothing.mp4", f"output={tmp_path}"])  # another one may follow
    until(lambda: jobs.status.state == "failed")
    assert jobs.status.line.startswith("no film at nothing.mp4")


def test_a_damaged_record_of_a_job_is_none(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"kind": "rm", "options": [], "state": "running"}', '{"kind": "plan", "state": 1}'):
        (tmp_path / "job.json").write_text(text)
        jobs = Jobs(tmp_path)
        assert jobs.status.state == "none"
        jobs.go_on_from_before()
        assert not list(tmp_path.glob("*.log"))

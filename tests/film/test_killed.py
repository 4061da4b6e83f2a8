"""A job that is killed at any moment goes on with the same command, and makes the same film."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SETTING = """
import hashlib, json, os, random, shutil, signal, sys, time, traceback, warnings
from pathlib import Path

from flowchroma.film import HeldFilm, open_film
from flowchroma.film.segments import TakenError, open_segments

warnings.simplefilter("ignore")
source, target, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
segments = [(n, min(n + 7, 45), "k") for n in range(0, 45, 7)]


def begin(job):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            job()
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    return child


def made():
    return [hashlib.sha256(rgb.tobytes()).hexdigest() for rgb in open_film(target)]
"""

KILLS = """
def job():
    film = open_film(source)
    with open_segments(target, like=film, job={"size": 64}) as store:
        missing = {start for start, stop, key in segments if not store.has(start, stop, key)}
        frames = enumerate(HeldFilm(film))
        for start, stop, key in segments:
            rows = [next(frames)[1] for _ in range(start, stop)]
            if start in missing:
                with store.segment(start, stop, key) as writer:
                    for rgb in rows:
                        writer.write(rgb)
        store.join(segments)


def end():
    assert os.waitpid(begin(job), 0)[1] == 0


def clear():
    shutil.rmtree(target) if target.is_dir() else target.unlink()


started = time.perf_counter()
end()
longest = time.perf_counter() - started
whole = made()
clear()
killed = finished = 0
rng = random.Random(1)
while killed < number:
    child = begin(job)
    time.sleep(rng.uniform(0, longest / 2))
    os.kill(child, signal.SIGKILL)
    killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    if target.exists():  # it is whole, or not there
        assert made() == whole
        finished += 1
        clear()
end()
print(json.dumps({
    "killed": killed, "same": made() == whole, "frames": len(whole), "finished": finished,
    "left": sorted(path.name for path in target.parent.iterdir()),
}))
"""


SHARING = """
def job():
    with open_segments(target, like=open_film(source), shared=True) as store:
        Path(f"{source}.{os.getpid()}").touch()
        frames = list(HeldFilm(open_film(source)))
        while not store.is_joined:
            for segment in segments:
                try:
                    if store.has(*segment):
                        continue
                    with store.segment(*segment) as writer:
                        wrote.write(f"{segment[0]} ")
                        wrote.flush()
                        for rgb in frames[segment[0] : segment[1]]:
                            time.sleep(0.01)
                            writer.write(rgb)
                except TakenError:
                    continue
            if os.getpid() == joins() and all(store.has(*segment) for segment in segments):
                store.join(segments)
            time.sleep(0.05)


def joins():
    return int(Path(f"{source}.first").read_text() or 0)


wrote = open(f"{source}.wrote", "a")
first = Path(f"{source}.first")
first.write_text("0")
workers = [begin(job) for _ in range(number)]
while not all(Path(f"{source}.{worker}").exists() for worker in workers):
    time.sleep(0.05)
time.sleep(0.3)
os.kill(workers[0], signal.SIGKILL)
first.write_text(str(workers[1]))
codes = [os.waitpid(worker, 0)[1] for worker in workers]
print(json.dumps({
    "codes": codes, "frames": len(made()), "left": sorted(path.name for path in target.parent.iterdir()),
    "wrote": sorted(int(n) for n in Path(f"{source}.wrote").read_text().split()),
}))
"""


def run(script, source, target, number):
    target.parent.mkdir()
    command = [sys.executable, "-c", SETTING + script, str(source), str(target), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture
def source(tmp_path, write_film, numbered):
    return write_film(tmp_path / "in.mp4", [numbered(n, (48, 64)) for n in range(45)], sound={"aac": 1})


@pytest.mark.parametrize(("name", "kills"), [("out.mp4", 20), ("out", 10)])
def test_a_job_killed_at_random_moments_makes_the_same_film(tmp_path, source, name, kills):
    said, _ = run(KILLS, source, tmp_path / "made" / name, kills)
    assert said.pop("finished") < kills
    assert said == {"killed": kills, "same": True, "frames": 45, "left": [name]}


def test_processes_share_a_film_and_one_that_is_killed_costs_no_other(tmp_path, source):
    said, errors = run(SHARING, source, tmp_path / "made" / "out.mp4", 3)
    assert said["codes"] == [9, 0, 0], errors
    assert (said["frames"], said["left"]) == (45, ["out.mp4"])
    assert set(said["wrote"]) == set(range(0, 45, 7))
    assert len(said["wrote"]) <= 8  # none twice but the one that was being written by the process that was killed

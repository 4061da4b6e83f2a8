"""Colour every film and folder of frames of a collection, and print what went in and came out as a Markdown table.

    python benchmarks/cases.py INPUTS [--write docs/films.md] [--networks] [case ...]

INPUTS holds a folder a case, with films, folders of frames and `ref*` pictures. Colour comes from the reference's mean,
so that it is the reading and writing that is tried; `--networks` takes the real ones.
"""

import argparse
import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import torch
from stand_in import stand_in

from flowchroma import colorize
from flowchroma.app.colouring import job
from flowchroma.errors import UserError
from flowchroma.film import Film, open_film

START, END = "<!-- cases -->", "<!-- end of cases -->"
PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dpx"}
NO_FILMS = {".txt", ".srt", ".ttf", ".m4a", ".mka", ".wav", *PICTURES}
LIMIT = 120  # seconds a case


def inputs(folder: Path) -> list[Path]:
    """Films and folders of frames in a case's folder."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            holds = any(file.suffix.lower() in PICTURES for file in path.iterdir())
            found += [path] if holds else inputs(path)
        elif path.suffix.lower() not in NO_FILMS and not path.name.startswith("."):
            found.append(path)
    return found


def run(source: Path, reference: str, output: Path, networks: bool) -> tuple[int, list[str], float]:
    """Colour one in a process of its own: exit code, what it said, and its memory in MB."""
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            if not networks:
                job.load_system = lambda checkpoint: stand_in()  # type: ignore[assignment]
            options = (f"source={source}", f"reference={reference}", f"output={output}", "preset=fast", "report=false")
            sys.argv = ["colorize", *options, "overwrite=true"]
            code = 0
            try:
                colorize.main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:
                import traceback

                traceback.print_exc()
                code = 99
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        began = time.monotonic()
        while (ended := os.wait4(child, os.WNOHANG))[0] == 0:
            if time.monotonic() - began > LIMIT:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
        said.seek(0)
        lines = [line.strip() for line in said.read().splitlines() if line.strip()]
    code = os.waitstatus_to_exitcode(ended[1])
    usage: resource.struct_rusage = ended[2]
    return code, lines, usage.ru_maxrss / 1024


def compare(source: Path, output: Path) -> list[str]:
    """Frames, size, worst difference of times, and sound: of the source, and of the output where it differs."""
    before, after = opened(source), opened(output)
    frames = arrow(len(before) if before else "?", len(after) if after else "-")
    size = arrow(shape(before), shape(after))
    return [frames, size, times(before, after), arrow(sound(source), sound(output))]


def opened(path: Path) -> Film | None:
    """A film, if it is one."""
    with contextlib.suppress(UserError):
        film = open_film(path)
        _ = len(film), film.size
        return film
    return None


def times(before: Film | None, after: Film | None) -> str:
    """The worst difference between when a frame is shown, in ms, the first one's time apart."""
    shown = []
    for film in (before, after):
        if film is None or not hasattr(film, "times"):
            return ""
        base, at, _ = film.times
        shown.append((np.array(at, dtype=float) - at[0]) * float(base) * 1000)
    one, other = shown
    return f"{np.abs(one - other).max():.1f}" if len(one) == len(other) else "other"


def sound(path: Path) -> str:
    """Tracks: codec and channels, and seconds."""
    if path.is_dir():
        return ""
    try:
        with av.open(str(path), metadata_errors="replace") as film:
            tracks = [f"{s.codec_context.name} {s.channels}" for s in film.streams.audio if s.codec_context]
            ends = {stream.index: 0.0 for stream in film.streams.audio}
            starts: dict[int, float] = {}
            for packet in film.demux(*film.streams.audio) if tracks else ():
                if packet.pts is not None:
                    starts.setdefault(packet.stream_index, float(packet.pts * packet.time_base))
                    ends[packet.stream_index] = float((packet.pts + (packet.duration or 0)) * packet.time_base)
    except (av.FFmpegError, ValueError):
        return ""
    return ", ".join(
        f"{name}: {end - starts.get(index, 0):.2f} s" for name, (index, end) in zip(tracks, ends.items(), strict=True)
    )


def arrow(before: object, after: object) -> str:
    """One, or both where they differ."""
    return f"{before}" if before == after else f"{before} → {after}"


def shape(film: Film | None) -> str:
    """Width by height."""
    return f"{film.size[1]}x{film.size[0]}" if film else "-"


def table(folder: Path, wanted: list[str], networks: bool) -> list[str]:
    """A row an input."""
    rows = ["| input | exit | frames | size | times, ms | sound | MB | said |", "|---|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as made:
        for case in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("c0")):
            if wanted and not any(case.name.startswith(name) for name in wanted):
                continue
            references = sorted(case.glob("ref.*")) or ["first"]
            jobs = [(source, references[0]) for source in inputs(case)]
            if case.name.startswith(("b04", "b05")):  # of references
                film = next(source for source, _ in jobs if source.name in ("film.mp4", "plain"))
                jobs += [(film, picture) for picture in sorted(case.iterdir()) if picture.suffix in PICTURES]
            for number, (source, reference) in enumerate(jobs):
                output = Path(made, f"{case.name}-{number}{'' if source.is_dir() else '.mp4'}")
                code, lines, memory = run(source, str(reference), output, networks)
                told = [line.replace(f"{folder}/", "").replace(f"{made}/", "") for line in lines]
                told = [line.removeprefix("flowchroma: ") for line in told if not line.endswith(output.name)]
                name = f"{source.relative_to(folder)}"
                name += f" by {reference.name}" if isinstance(reference, Path) and reference != references[0] else ""
                facts = compare(source, output) if output.exists() else ["-"] * 4
                said = "<br>".join(told[-6:]).replace("|", "/")
                rows.append(f"| {name} | {code} | {' | '.join(facts)} | {memory:.0f} | {said} |")
                print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("cases", nargs="*", help="the first letters of those to run")
    parser.add_argument("--write", type=Path, help="a document, between whose marks the table is put")
    parser.add_argument("--networks", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = table(options.inputs.resolve(), options.cases, options.networks)
    if options.write:
        text = options.write.read_text()
        head, _, rest = text.partition(START)
        options.write.write_text(f"{head}{START}\n\n" + "\n".join(rows) + f"\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()

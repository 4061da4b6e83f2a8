"""From the scores on disk to a report."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flowchroma.data.source import ReadableFilm
from flowchroma.evaluation.report import MethodScores, Report, Still
from flowchroma.evaluation.runner import Evaluation
from flowchroma.evaluation.scoring import TRUTH, Score
from flowchroma.evaluation.store import Store
from flowchroma.metrics import FID


def collect(evaluation: Evaluation, header: Mapping[str, Any], problems: Sequence[str]) -> Report:
    """The report of all that the store holds: what was scored now, and before by the same protocol.

    Args:
        evaluation: what was run.
        header: what else the report's protocol says.
        problems: what could not be scored.
    """
    store, films = evaluation.store, evaluation.films
    before = [name for name in store.methods() if name not in evaluation.entrants and name != TRUTH]
    scores: dict[str, dict[str, Score]] = {}
    for name in [*evaluation.entrants, *before]:
        found = {film.name: _score(evaluation, name, film) for film in films}
        if kept := {clip: score for clip, score in found.items() if score is not None}:
            scores[name] = kept
    truth = {film.name: score for film in films if (score := _score(evaluation, TRUTH, film)) is not None}
    methods = {name: _method(evaluation, name, clips, truth) for name, clips in scores.items()}
    every = [score for clips in scores.values() for score in clips.values()]
    count = max((len(clips) for clips in scores.values()), default=0)
    notices = [notice for clips in scores.values() for score in clips.values() for notice in score.notices]
    protocol = {
        **header,
        "clips scored": count,
        "frames scored": sum(len(s.frames["frame"]) for s in truth.values()),
        "metrics, seconds a frame": _mean(score.seconds["metrics"] for score in every),
        "networks of LPIPS and FID, seconds a frame": _mean(score.seconds["networks"] for score in every),
        "the originals' own": {
            key: _mean(s.metrics.get(key) for s in truth.values()) for key in ("colorfulness", "cdc", "warp_error")
        },
        "absent": evaluation.judges.absent,
        "problems": [*problems, *notices],
        "error maps": "CIEDE2000, from black for 0 to bright for 20 and above",
    }
    return Report(protocol, methods, _stills(store, films, list(methods)))


def _score(evaluation: Evaluation, name: str, film: ReadableFilm) -> Score | None:
    """A score by what the method is now; of a method of an earlier run, as it was then."""
    current = name in evaluation.entrants or name == TRUTH
    try:
        identity = evaluation.identity(name, film) if current else None
    except Exception:  # a film that cannot be opened has been told as a problem
        return None
    return evaluation.store.get(name, film.name, identity)


def _method(evaluation: Evaluation, name: str, clips: Mapping[str, Score], truth: Mapping[str, Score]) -> MethodScores:
    keys = dict.fromkeys(key for score in clips.values() for key in score.metrics)
    mean = {key: _mean(score.metrics.get(key) for score in clips.values()) for key in keys}
    mean["fid"] = _fid(evaluation.store, name, [clip for clip in clips if clip in truth])
    mean |= dict.fromkeys(evaluation.judges.absent) | {k: v for k, v in mean.items() if v is not None}
    seconds = _mean(score.seconds["method"] for score in clips.values())
    return MethodScores(
        clips={clip: score.metrics for clip, score in clips.items()},
        mean=mean,
        seconds_per_frame=seconds,
        frames={clip: score.frames for clip, score in clips.items()},
        about=next(iter(clips.values())).about,
    )


def _fid(store: Store, name: str, clips: Sequence[str]) -> float | None:
    """FID over all the clips' scored frames; None where features were not kept."""
    paths = [(store.features(name, clip), store.features(TRUTH, clip)) for clip in clips]
    if not paths or not all(path.is_file() for pair in paths for path in pair):
        return None
    distance, frames = None, 0
    for pair in paths:
        made, real = (torch.from_numpy(np.load(path)) for path in pair)
        distance = distance or FID(size=real.shape[1])
        distance.update(made, real=False)
        distance.update(real, real=True)
        frames += len(made)
    return float(distance.compute()) if distance is not None and frames > 1 else None


def _stills(store: Store, films: Sequence[ReadableFilm], methods: Sequence[str]) -> list[Still]:
    stills = []
    for film in films:
        folder = store.folder / "stills" / film.name
        for truth in sorted(folder.glob("*_truth.jpg")):
            frame = truth.name.split("_")[0]
            shown, errors = (_there(folder, frame, methods, suffix) for suffix in (".jpg", ".error.jpg"))
            stills.append(Still(film.name, int(frame), truth, shown, errors))
    return stills


def _there(folder: Path, frame: str, methods: Sequence[str], suffix: str) -> dict[str, Path]:
    paths = {name: folder / f"{frame}_{name}{suffix}" for name in methods}
    return {name: path for name, path in paths.items() if path.is_file()}


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None

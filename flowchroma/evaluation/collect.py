"""From the scores on disk to a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flowchroma.errors import UserError
from flowchroma.evaluation.clip_metrics import Score, mean_of
from flowchroma.evaluation.report import MethodScores, Report, Still
from flowchroma.evaluation.runner import Evaluation
from flowchroma.evaluation.score_store import ScoreStore, short_hash
from flowchroma.evaluation.scoring import TRUTH
from flowchroma.film import Film
from flowchroma.metrics import FID


def collect(evaluation: Evaluation, header: Mapping[str, Any], problems: Sequence[str]) -> Report:
    """The report of all that the store holds, scored now, or before by the same protocol.

    `header` is what else the report's protocol says, `problems` what could not be scored.
    """
    store, films = evaluation.store, evaluation.films
    before = [name for name in store.methods() if name not in evaluation.methods and name != TRUTH]
    known = {film.name: ids for film in films if (ids := _identities(evaluation, film)) is not None}
    found = {name: _found(store, name, {c: ids[name] for c, ids in known.items()}) for name in evaluation.methods}
    left_out: list[str] = []
    for name in before:
        found[name], notes = _earlier(store, name, {clip: ids[TRUTH]["film"] for clip, ids in known.items()})
        left_out += notes
    scores = {name: clips for name, clips in found.items() if clips}
    truth = _found(store, TRUTH, {clip: ids[TRUTH] for clip, ids in known.items()})
    methods = {name: _method(evaluation, name, clips, truth) for name, clips in scores.items()}
    every = [score for clips in scores.values() for score in clips.values()]
    count = max((len(clips) for clips in scores.values()), default=0)
    notices = [notice for clips in scores.values() for score in clips.values() for notice in score.notices]
    protocol = {
        **header,
        "clips scored": count,
        "frames scored": sum(len(s.frames["frame"]) for s in truth.values()),
        "metrics, seconds a frame": mean_of(score.seconds["metrics"] for score in every),
        "networks of LPIPS and FID, seconds a frame": mean_of(score.seconds["networks"] for score in every),
        "the originals' own": {
            key: mean_of(s.metrics.get(key) for s in truth.values()) for key in ("colorfulness", "cdc", "warp_error")
        },
        "absent": evaluation.networks.absent,
        "problems": [*problems, *left_out, *notices],
        "error maps": "CIEDE2000, from black for 0 to bright for 20 and above",
    }
    return Report(protocol, methods, _stills(store, films, list(methods)))


def _identities(evaluation: Evaluation, film: Film) -> dict[str, dict[str, Any]] | None:
    try:
        return evaluation.identities(film)
    except UserError:  # reported as a problem already
        return None


def _found(store: ScoreStore, name: str, identities: Mapping[str, Mapping[str, Any]]) -> dict[str, Score]:
    """A method's scores by clip."""
    found = {clip: store.get(name, clip, identity) for clip, identity in identities.items()}
    return {clip: score for clip, score in found.items() if score is not None}


def _earlier(store: ScoreStore, name: str, films: Mapping[str, str]) -> tuple[dict[str, Score], list[str]]:
    """The scores of a method of an earlier run that belong into one row, and a line on those that do not."""
    every = _found(store, name, {clip: {} for clip in films})
    alike: dict[str, dict[str, Score]] = {}
    for clip, score in _found(store, name, {clip: {"film": film} for clip, film in films.items()}).items():
        alike.setdefault(short_hash(score.about), {})[clip] = score
    kept = max(alike.values(), key=len, default={})
    if not (lost := [clip for clip in every if clip not in kept]):
        return kept, []
    some = ", ".join(lost[:3]) + (" and more" if len(lost) > 3 else "")
    return kept, [f"{name} has scores of other films or by other weights ({some}), left out: score it again"]


def _method(evaluation: Evaluation, name: str, clips: Mapping[str, Score], truth: Mapping[str, Score]) -> MethodScores:
    keys = dict.fromkeys(key for score in clips.values() for key in score.metrics)
    mean = {key: mean_of(score.metrics.get(key) for score in clips.values()) for key in keys}
    mean["fid"] = _fid(evaluation.store, name, [clip for clip in clips if clip in truth])
    mean |= dict.fromkeys(evaluation.networks.absent) | {k: v for k, v in mean.items() if v is not None}
    seconds = mean_of(score.seconds["method"] for score in clips.values())
    return MethodScores(
        clips={clip: score.metrics for clip, score in clips.items()},
        mean=mean,
        seconds_per_frame=seconds,
        frames={clip: score.frames for clip, score in clips.items()},
        about=next(iter(clips.values())).about,
    )


def _fid(store: ScoreStore, name: str, clips: Sequence[str]) -> float | None:
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


def _stills(store: ScoreStore, films: Sequence[Film], methods: Sequence[str]) -> list[Still]:
    stills = []
    for film in films:
        folder = store.folder / "stills" / film.name
        for truth in sorted(folder.glob("*_truth.jpg")):
            frame = truth.name.split("_")[0]
            shown, errors = (_existing(folder, frame, methods, suffix) for suffix in (".jpg", ".error.jpg"))
            stills.append(Still(film.name, int(frame), truth, shown, errors))
    return stills


def _existing(folder: Path, frame: str, methods: Sequence[str], suffix: str) -> dict[str, Path]:
    paths = {name: folder / f"{frame}_{name}{suffix}" for name in methods}
    return {name: path for name, path in paths.items() if path.is_file()}

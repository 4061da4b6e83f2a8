"""A film that is written by segments, and what it is compared with."""

from itertools import pairwise
from pathlib import Path

import av

from flowchroma.film import HeldFilm, open_film, open_writer
from flowchroma.film.segments import open_segments

CUTS = [0, 1, 8, 9, 20, 36, 40]
KEY = "a1"


def spans(cuts=CUTS):
    return [(start, stop, KEY) for start, stop in pairwise(cuts)]


def fill(store, film, segments, only=None):
    """Write the segments that are not there; their number."""
    frames = list(HeldFilm(film, deep=store.deep))
    missing = [segment for segment in segments if not store.has(*segment)][:only]
    for start, stop, key in missing:
        with store.segment(start, stop, key) as writer:
            for frame in frames[start:stop]:
                writer.write(frame)
    return len(missing)


def segmented(source, target, segments=None, **options):
    film = open_film(source)
    with open_segments(target, like=film, **options) as store:
        segments = segments or spans()
        fill(store, film, segments)
        assert store.join(segments) == Path(target)
    return open_film(target)


def at_once(source, target, **options):
    film = open_film(source)
    with open_writer(target, like=film, **options) as writer:
        for frame in HeldFilm(film, deep=writer.deep):
            writer.write(frame)
    return open_film(target)


def seconds(film):
    base, times, last = film.times
    return [float(t * base) for t in [*times, times[-1] + last]]


def packets(path):
    """When the picture's packets are decoded and shown, in the order of the file."""
    with av.open(str(path)) as source:
        return [(p.dts, p.pts) for p in source.demux(video=0) if p.size]


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]

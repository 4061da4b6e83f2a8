"""Sources of films: what each offers (`source`), folders, lists, pictures and shards, and the index of a folder."""

from flowchroma.data.sources.films import Films, find_films
from flowchroma.data.sources.frame_folders import FrameFolders
from flowchroma.data.sources.named import NamedFilms
from flowchroma.data.sources.picture_folders import Images, StillFilm
from flowchroma.data.sources.shards import ShardFilm, Shards
from flowchroma.data.sources.source import FolderSource, LazyFilm, Source

__all__ = [
    "Films",
    "FolderSource",
    "FrameFolders",
    "Images",
    "LazyFilm",
    "NamedFilms",
    "ShardFilm",
    "Shards",
    "Source",
    "StillFilm",
    "find_films",
]

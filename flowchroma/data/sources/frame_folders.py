"""Frame folders in the layout of DAVIS."""

from dataclasses import dataclass
from pathlib import Path

from flowchroma.data.sources.film_index import read_film_index
from flowchroma.data.sources.source import FolderSource, LazyFilm, existing_root, frames_folder, read_list
from flowchroma.errors import UserError


@dataclass(frozen=True)
class FrameFolders(FolderSource):
    """Films as `ROOT/JPEGImages/RESOLUTION/SEQUENCE/*.jpg`, split by `ROOT/ImageSets/YEAR/{train,val}.txt`.

    Args:
        root: the folder that holds JPEGImages and ImageSets.
        year: folder of the lists; "test" reads val.txt, as the annotation of DAVIS's own test sets is not public.
        resolution: folder of the frames; None takes the only one, or 480p if there are several.
        clips_per_film: clips that an epoch takes from each film.
        weight: share of this source among several.
    """

    root: str | Path | None
    year: str | int = "2017"
    resolution: str | None = None
    clips_per_film: int = 4
    weight: float = 1.0

    @property
    def where(self) -> str:
        """Where the data come from, for messages."""
        return f"{self.root}/JPEGImages"

    def films(self, split: str) -> list[LazyFilm]:
        """List the sequences of a split.

        A `UserError` where the root, a list or the resolution is missing, the lists share a sequence, or this one is
        empty.
        """
        root = existing_root(self.root, "JPEGImages")
        images = root / "JPEGImages"
        if not images.is_dir():
            raise UserError(f"{root} has no folder JPEGImages: data.root should be the folder that holds it")
        folder = frames_folder(images, self.resolution)
        names = self._list(root, "train" if split == "train" else "val")
        index = read_film_index(root)
        return [LazyFilm(name, folder / name, index.lookup(folder / name)) for name in names]

    def _list(self, root: Path, split: str) -> list[str]:
        lists = {name: root / "ImageSets" / str(self.year) / f"{name}.txt" for name in ("train", "val")}
        if not lists[split].is_file():
            raise UserError(f"{lists[split]} is missing: it should name the sequences of {split}, one a line")
        names = {name: read_list(path) for name, path in lists.items() if path.is_file()}
        shared = sorted(set(names.get("train", ())) & set(names.get("val", ())))
        if shared:
            raise UserError(f"{shared[0]} is both in {lists['train']} and in val.txt: a film may be in one only")
        if not names[split]:
            raise UserError(f"{lists[split]} names no sequence")
        return names[split]

"""Test sets: the films in a folder, or those of them that are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowchroma.data.sources.films import find_films
from flowchroma.data.sources.source import FolderSource, LazyFilm, frames_folder
from flowchroma.errors import UserError


@dataclass(frozen=True)
class NamedFilms(FolderSource):
    """Films for evaluation alone.

    Args:
        root: a folder in the layout of DAVIS, or one that holds films or folders of frames at any depth; or one film.
        names: the films of the set, by the last part of their names; None for all that there are.
        resolution: folder of the frames in the layout of DAVIS; None takes the only one, or 480p if there are several.
        weight: share of this source among several.
    """

    root: str | Path | None
    names: Sequence[str] | None = None
    resolution: str | None = None
    weight: float = 1.0

    def films(self, split: str) -> list[LazyFilm]:
        """List the films of the set that exist; a `UserError` for none, an ambiguous name, or another split."""
        if split != "test":
            raise UserError(
                "this set is for python -m flowchroma.evaluate alone: train on davis, videvo, mix or sample"
            )
        root = self._root()
        if root.is_file():
            return [LazyFilm(root.stem, root)]
        images = root / "JPEGImages"
        found = find_films(frames_folder(images, self.resolution) if images.is_dir() else root)
        if self.names is None:
            if not found:
                raise UserError(f"no film and no folder of frames lies under {root}")
            return [LazyFilm(name or path.resolve().name, path) for name, path in found.items()]
        by_name: dict[str, list[Path]] = {}
        for name, path in found.items():
            by_name.setdefault(name.rsplit("/", 1)[-1], []).append(path)
        present = [name for name in self.names if name in by_name]
        if not present:
            raise UserError(f"none of the {len(self.names)} films of the set is under {root}: {self.names[0]}, ...")
        if double := next((name for name in present if len(by_name[name]) > 1), None):
            both = " and ".join(str(path) for path in by_name[double][:2])
            raise UserError(f"{double} is there more than once, as {both}: name the folder of one of them as data.root")
        return [LazyFilm(name, by_name[name][0]) for name in present]

    def _root(self) -> Path:
        if self.root is None:
            raise UserError("data.root is not set: give the folder that holds the films")
        root = Path(self.root).expanduser()
        if not root.exists():
            raise UserError(f"there is nothing at {root}: set data.root to the folder that holds the films")
        return root

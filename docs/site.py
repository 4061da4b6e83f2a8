"""What MkDocs needs beside docs/: the repository's other pages at their own paths, so that every link works in both.

Loaded by mkdocs.yml as a hook.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SHOWN = ("*.md", "docs/*.md", "docs/*.jpg", "docs/*/*.jpg", "docs/*.png", "experiments/*.md", "flowchroma/weights/*.md")
COPIED = ("LICENSE", "NOTICE", "CITATION.cff")
API = "api/"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Lay pages out as in the repository, and add one for each package that the navigation names under api/."""
    shown = Files([file for file in files if not Path(file.abs_src_path or "").is_relative_to(ROOT / "docs")])
    for pattern in (*SHOWN, *COPIED):
        for path in sorted(ROOT.glob(pattern)):
            shown.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for page in named(config.nav):
        if page.startswith(API):
            shown.append(File.generated(config, page, content=api_page(Path("flowchroma", Path(page).stem))))
    return shown


def api_page(room: Path) -> str:
    """A package's docstring, and a section for each module that has public names, in Markdown for mkdocstrings."""
    parts = [f"# {'.'.join(room.parts)}", f"::: {'.'.join(room.parts)}\n    options: {{members: []}}"]
    for path in sorted(ROOT.glob(f"{room}/**/*.py")):
        module = path.relative_to(ROOT).with_suffix("")
        if not module.name.startswith("_"):
            parts += [f"## {'.'.join(module.parts[1:])}", f"::: {'.'.join(module.parts)}"]
    return "\n\n".join(parts) + "\n"


def named(nav: object) -> list[str]:
    """The pages in a navigation of any depth."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ()
    return [page for part in parts for page in named(part)]

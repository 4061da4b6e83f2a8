"""The site of the docs: it builds strictly, without a network, and needs none to be read."""

import re
import socket
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site needs: pip install 'flowchroma[docs]'")
pytest.importorskip("mkdocstrings", reason="the site needs: pip install 'flowchroma[docs]'")

ROOT = Path(__file__).parents[1]
REMOTE = r"""(?:https?:)?//[^"'\s)>]+"""
LOADED = re.compile(rf"""<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=["']?({REMOTE})""")
LOADED_BY_STYLE = re.compile(rf"""(?:url\(|@import)\s*["']?({REMOTE})""")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    def refuse(*_, **__):
        raise AssertionError("building the site opens a connection")

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.chdir(ROOT)
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))  # strict: a warning is an error
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(site): LOADED.findall(path.read_text()) for path in site.rglob("*.html")}
    styles = {path.name: LOADED_BY_STYLE.findall(path.read_text()) for path in site.rglob("*.css")}
    assert len(pages) > 20
    assert styles
    assert not {name: found for name, found in (pages | styles).items() if found}


def test_every_document_and_every_room_has_a_page(site: Path) -> None:
    assert all((site / "docs" / f"{page.stem}.html").is_file() for page in (ROOT / "docs").glob("*.md"))
    api = {page.stem: page.read_text() for page in (site / "api").glob("*.html")}
    assert set(api) == {"colorizers", "models", "ops", "losses", "metrics", "film", "data", "training", "evaluation"}
    assert "flowchroma.ops.warp.backward_warp" in api["ops"]
    assert "(B, 2, H, W) in pixels" in re.sub(r"<[^>]+>", "", api["ops"])  # a docstring's arguments
    empty = [name for name, page in api.items() if "doc-function" not in page and "doc-class" not in page]
    assert not empty


def test_every_path_in_the_architecture_is_there() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`([\w/.]+(?:\.py|\.yaml|/))`", page))
    assert len(named) > 50
    assert not {name for name in named if not (ROOT / name).exists() and not (ROOT / "flowchroma" / name).exists()}

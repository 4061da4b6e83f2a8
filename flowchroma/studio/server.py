"""Serve the studio of a project."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from flowchroma.app.settings import pick_device
from flowchroma.errors import UserError
from flowchroma.studio.guard import Guard

_LOCAL = frozenset(("127.0.0.1", "localhost", "::1"))


def run(config: DictConfig) -> None:
    """Open the studio, until it is ended."""
    _check(config)
    folder = _folder(config)
    with _alone(folder):
        _open(config, folder)


def _open(config: DictConfig, folder: Path) -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder / ".studio" / "served")  # nothing outside the project is served
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise UserError("the studio needs Gradio: pip install 'flowchroma[studio]'") from error
    from flowchroma.studio.studio import Studio

    studio = Studio.open(folder, config.checkpoint, pick_device(config.device), config.host in _LOCAL)
    if config.source:
        studio.project.choose(Path(config.source))
    try:
        with _served(studio, config) as address:
            print(f"The studio of {folder} is open: {address} (Ctrl-C ends it)", flush=True)
            studio.jobs.go_on_from_before()
            threading.Thread(target=lambda: studio.colours.system, daemon=True).start()  # the first preview waits less
            threading.Event().wait()
    finally:
        studio.jobs.close()


def _check(config: DictConfig) -> None:
    if config.host not in _LOCAL and not (config.user and config.password):
        raise UserError(f"host={config.host} lets others in: give user= and password= as well", code=2)
    if bool(config.user) != bool(config.password):
        raise UserError("user and password go together: give both", code=2)
    if not isinstance(config.port, int) or not 0 <= config.port < 65536:
        raise UserError(f"port must be a whole number below 65536, not {config.port}", code=2)
    if not isinstance(config.upload, int | float) or isinstance(config.upload, bool) or not config.upload > 0:
        raise UserError(f"upload must be a number of GB above 0, not {config.upload}", code=2)


def _folder(config: DictConfig) -> Path:
    """The project's folder: as given, or beside the film, or one here."""
    if config.project:
        folder = Path(config.project).expanduser()
    elif config.source:
        from flowchroma.film import open_film  # slow to import: an option that is wrong does not wait for it

        film = Path(config.source).expanduser()
        open_film(film)
        folder = film.with_name(f"{film.stem if film.is_file() else film.name}_plan")
    else:
        folder = Path("studio_plan")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder: give another project")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {folder}: {error.strerror or error}; give another project") from error
    return folder.absolute()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second studio from a project."""
    own = folder / ".studio"
    own.mkdir(exist_ok=True)
    lock = FileLock(own / "studio.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"the studio of {folder} is open already: end that one, or give another project") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _served(studio: Any, config: DictConfig) -> Iterator[str]:
    from starlette.middleware import Middleware

    from flowchroma.studio.page import build
    from flowchroma.studio.theme import SCRIPT, STYLE, theme

    page = build(studio)
    page.queue(default_concurrency_limit=4)
    hosts = _LOCAL if config.host in _LOCAL else None
    try:
        _, address, _ = page.launch(
            server_name=config.host,
            server_port=config.port or None,
            auth=(str(config.user), str(config.password)) if config.user else None,
            inbrowser=bool(config.browser),
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            allowed_paths=[str(studio.project.folder)],
            max_file_size=int(config.upload * 1e9),
            app_kwargs={"middleware": [Middleware(Guard, hosts=hosts)], "docs_url": None, "redoc_url": None},
            theme=theme(),
            css=STYLE.read_text(encoding="utf-8"),
            head=f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>",
        )
    except OSError as error:
        where = f"{config.host}, port {config.port}"
        raise UserError(f"cannot listen on {where}: it is taken, or not of this machine; give another port") from error
    try:
        yield address
    finally:
        page.close(verbose=False)

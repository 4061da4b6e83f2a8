import http.server
import os
import runpy
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real footage and golden outputs beside the checkout; what needs them is skipped where they are absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the checkout: real clips and golden outputs are not here")
    return folder


_MARK = f"FLOWCHROMA_SUITE={uuid.uuid4()}"
# What Python's multiprocessing, wandb and notebooks keep for as long as this process lives.
_OF_THIS_PROCESS = ("resource_tracker", "forkserver", "wandb-core", "gpu_stats")


@pytest.fixture(scope="session", autouse=True)
def _leaves_no_process_behind() -> Iterator[None]:
    """Fail where a process that the suite started, or one of its own, lives on after the last test."""
    name, _, value = _MARK.partition("=")
    os.environ[name] = value
    yield
    if not Path("/proc/self/environ").exists():
        return
    until = time.monotonic() + 10
    while (left := _marked()) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left, f"processes that tests left behind: {left}"


def _marked() -> dict[int, str]:
    """Processes that inherited the suite's mark, by number: their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if _MARK.encode() not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended, or is another user's
            continue
        if command and not any(name in command for name in _OF_THIS_PROCESS):
            found[int(folder.name)] = command[:200]
    return found


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


@pytest.fixture
def serve():
    """Make a function that runs an HTTP server of a handler: it gives the address, and ends with the test."""
    with ExitStack() as ends:

        def started(handler) -> str:
            running = ends.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=running.serve_forever, args=(0.01,))
            thread.start()
            ends.callback(thread.join)
            ends.callback(running.shutdown)
            return f"http://127.0.0.1:{running.server_port}"

        yield started


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Make a function of an entry point, which runs it in `tmp_path` with arguments: (exit code, stdout, stderr)."""

    def made(main):
        monkeypatch.chdir(tmp_path)
        # It would silence the whole test process.
        monkeypatch.setattr("flowchroma.app.options.configure_logging", lambda: None)

        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["command", *arguments])
            code = 0
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
            said = capsys.readouterr()
            assert "Traceback" not in said.err
            return code, said.out, said.err

        return run

    return made


@pytest.fixture
def module(command, monkeypatch):
    """The same of a module's name, run as by `python -m`, but in this process, where all else is imported already."""

    def made(name):
        monkeypatch.delitem(sys.modules, name, raising=False)
        return command(partial(runpy.run_module, name, run_name="__main__"))

    return made


@pytest.fixture
def compose():
    """Compose the real configuration with overrides, as the command line does."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from flowchroma.app.run import run_config  # noqa: F401 (its resolvers)
    from flowchroma.app.settings import CONF

    def composed(*overrides: str, name: str = "config"):
        with initialize_config_dir(CONF, version_base="1.3"):
            return hydra_compose(name, overrides=[*overrides, "run_dir=unused"] if name == "config" else [*overrides])

    return composed


@pytest.fixture
def write_rollouts(tmp_path):
    """Write rollouts of made colours: a span a film, found a little off on the way forward and more on the way back."""
    from flowchroma.data.rollouts.frames import TwoSidedFrames
    from flowchroma.data.rollouts.span_file import write_span
    from flowchroma.weights.files import Fingerprint

    nobody = Fingerprint("", "")

    def written(
        made_by: Fingerprint | None = None, films: Sequence[str] = ("a", "b", "c", "d"), size=(48, 64), frames: int = 5
    ):
        for film in films:
            torch.manual_seed(sum(film.encode()))
            luma = 20 + 60 * torch.rand(frames, 1, *size)
            true = 20 * torch.randn(frames, 2, 1, 1) + torch.randn(frames, 2, *size)
            errors = (torch.full_like(luma, 2.0), torch.full_like(luma, 6.0))
            forward, backward = (true + error / 2**0.5 * torch.randn_like(true) for error in errors)
            known = {"luma": luma, "true_ab": true, "forward_ab": forward, "forward_error": errors[0]}
            known |= {"backward_ab": backward, "backward_error": errors[1], "match_ab": true + 9}
            known |= {"similarity": torch.full_like(luma, 0.5), "difference": torch.full_like(luma, 4.0)}
            place = torch.arange(1, frames + 1) / (frames + 1)
            numbers = range(12, 12 + 2 * frames, 2)
            write_span(
                tmp_path / "rollouts" / f"{film}_0.safetensors",
                TwoSidedFrames(position=place, **known), film, numbers, made_by or nobody,
            )  # fmt: skip
        return tmp_path / "rollouts"

    return written


@pytest.fixture
def build(compose):
    """Build a network by the name of its file in conf/model."""
    from flowchroma.app.networks import build_network

    def built(name: str, *overrides: str):
        # Pretrained weights are not on every machine.
        blank = ["model.trunk.weights=none"] if name == "swintexco" else []
        return build_network(compose(f"model={name}", *blank, *overrides).model).eval()

    return built


@pytest.fixture
def build_loss(compose):
    """Build a loss by the name of its file in conf/loss; `loss=swintexco` gives a function of the trunk."""
    from hydra.utils import instantiate

    def built(name: str, *overrides: str):
        return instantiate(compose(f"loss={name}", *overrides).loss)

    return built

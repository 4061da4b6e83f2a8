import functools
import hashlib
import http.server
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import save_file

from flowchroma.errors import UserError
from flowchroma.files.download import DownloadError, download_file
from flowchroma.weights import SHIPPED_VGG, load_vgg

NOWHERE = "http://127.0.0.1:{}/vgg19-00000000.pth"


@pytest.fixture
def made(tmp_path):
    """VGG weights to relu1_2, in a file that carries its hash in its name like torchvision's."""
    torch.manual_seed(0)
    shapes = {"features.0": (64, 3, 3, 3), "features.2": (64, 64, 3, 3)}
    state = {f"{k}.weight": torch.randn(v) * 0.1 for k, v in shapes.items()}
    state |= {f"{k}.bias": torch.randn(64) for k in shapes}
    path = tmp_path / "made.pth"
    torch.save(state, path)
    name = f"vgg19-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
    folder = tmp_path / "served"
    folder.mkdir()
    return path.rename(folder / name)


class Handler(http.server.SimpleHTTPRequestHandler):
    requests, url = 0, ""
    cut = 0  # bytes withheld, although promised

    def copyfile(self, source, outputfile):
        type(self).requests += 1
        body = source.read()
        outputfile.write(body[: len(body) - self.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(made, serve):
    handler = type("Counting", (Handler,), {})
    handler.url = f"{serve(functools.partial(handler, directory=str(made.parent)))}/{made.name}"
    return handler


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_cache_comes_first(cache, made, caplog):
    cache.mkdir(parents=True)
    made.rename(cache / made.name)
    trunk, used = load_vgg("vgg19", ("relu1_2",), url=NOWHERE.format(1).replace("vgg19-00000000.pth", made.name))
    expected = torch.load(cache / made.name, weights_only=True)
    assert torch.equal(trunk.features["2"].weight, expected["features.2.weight"])
    assert used == "vgg19 (torchvision, IMAGENET1K_V1)"
    assert not caplog.records


def test_download_fills_the_cache(cache, made, server):
    trunk, used = load_vgg("vgg19", ("relu1_2",), url=server.url)
    assert used == "vgg19 (torchvision, IMAGENET1K_V1)"
    assert (cache / made.name).read_bytes() == made.read_bytes()
    assert sorted(p.name for p in cache.iterdir() if p.suffix != ".lock") == [made.name]
    again, _ = load_vgg("vgg19", ("relu1_2",), url=server.url)
    assert torch.equal(again.features["0"].weight, trunk.features["0"].weight)
    assert server.requests == 1


def test_downloads_at_once_fetch_once(cache, made, server):
    target = cache / made.name
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: download_file(server.url, target), range(4)))
    assert server.requests == 1
    assert target.read_bytes() == made.read_bytes()


def test_nothing_listening_falls_back_with_the_reason(cache, caplog):
    with caplog.at_level(logging.WARNING):
        _, used = load_vgg("vgg19", ("relu1_2",), url=NOWHERE.format(free_port()))
    assert used == "vgg16 to relu4_3 (shipped with FlowChroma in place of vgg19)"
    assert "refused" in caplog.text
    assert not [p for p in cache.iterdir() if p.suffix != ".lock"]


def test_a_silent_server_is_given_up_in_time(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DownloadError, match=r"no answer within 0\.2 s"):
            download_file(NOWHERE.format(silent.getsockname()[1]), tmp_path / "a.pth", timeout=0.2)


@pytest.mark.parametrize(
    ("fault", "reason"), [("hash", "SHA-256"), ("cut", r"only \d+ of \d+ bytes"), ("absent", "404")]
)
def test_a_bad_download_leaves_no_weights(cache, made, server, fault, reason, caplog):
    url = server.url
    if fault == "hash":
        wrong = made.rename(made.with_name("vgg19-00000000.pth"))
        url = url.replace(made.name, wrong.name)
    elif fault == "cut":
        server.cut = 100
    else:
        url = url.replace("vgg19", "vgg20")
    with pytest.raises(DownloadError, match=reason):
        download_file(url, cache / "file.pth")
    kept = ["file.pth.part", "file.pth.part.tag"] if fault == "cut" else []  # to go on from
    assert sorted(p.name for p in cache.iterdir() if p.suffix != ".lock") == kept
    with caplog.at_level(logging.WARNING):
        _, used = load_vgg("vgg19", ("relu1_2",), url=url)
    assert "shipped" in used
    assert len(caplog.records) == 1


def test_a_cache_that_cannot_be_written_is_a_failed_download(tmp_path, server):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"[Nn]ot a directory|exists"):
        download_file(server.url, tmp_path / "file" / "vgg.pth")


def test_named_file_of_either_kind(made, tmp_path):
    state = torch.load(made, weights_only=True)
    save_file({k: v.half() for k, v in state.items()}, tmp_path / "half.safetensors")
    whole, used = load_vgg("vgg19", ("relu1_2",), weights=made)
    half, _ = load_vgg("vgg19", ("relu1_2",), weights=str(tmp_path / "half.safetensors"))
    assert used == f"vgg19 ({made})"
    assert half.features["2"].weight.dtype == torch.float32
    torch.testing.assert_close(half.features["2"].weight, whole.features["2"].weight, rtol=1e-3, atol=1e-4)


def test_a_named_file_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"no VGG weights at .*absent"):
        load_vgg("vgg19", ("relu1_2",), weights=tmp_path / "absent.pth")


def test_a_named_file_that_is_too_shallow():
    with pytest.raises(UserError, match=r"lacks features\.24\.weight \(2 of 22 missing\)"):
        load_vgg("vgg16", ("relu5_1",), weights=SHIPPED_VGG)


def _spoiled(kind, state):
    if kind == "of vgg16":
        return state | {"features.17.weight": torch.zeros(512, 256, 3, 3)}
    if kind == "narrow":
        return state | {"features.2.weight": torch.zeros(64, 32, 3, 3)}
    if kind == "nan":
        return state | {"features.2.bias": torch.full((64,), float("nan"))}
    return [state]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("of vgg16", "set the trunk to vgg16"),
        ("narrow", r"features\.2\.weight as \(64, 32, 3, 3\)"),
        ("nan", r"not finite in features\.2\.bias"),
        ("list", "not a table of tensors"),
    ],
)
def test_a_named_file_that_does_not_fit(made, tmp_path, kind, message):
    path = tmp_path / "spoiled.pth"
    torch.save(_spoiled(kind, torch.load(made, weights_only=True)), path)
    with pytest.raises(UserError, match=message):
        load_vgg("vgg19", ("relu1_2",), weights=path)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("created-by-a-pickle",)


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors", "hostile.pth"])
def test_a_named_file_that_cannot_be_read(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if name == "hostile.pth":
        torch.save({"features.0.weight": Hostile()}, path)
    else:
        path.write_bytes(b"PK\x03\x04 not weights")
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_vgg("vgg19", ("relu1_2",), weights=path)
    assert not (tmp_path / "created-by-a-pickle").exists()


def test_shipped_weights_see():
    # The first layer of any trained VGG knows edges: a stripe pattern excites it more than its own mean does.
    trunk, used = load_vgg("vgg16", ("relu1_2",), download=False)
    stripes = (torch.arange(32) % 4 < 2).float().expand(1, 3, 32, 32)
    assert trunk(stripes)["relu1_2"].std() > 3 * trunk(torch.full_like(stripes, 0.5))["relu1_2"][..., 4:-4, 4:-4].std()
    assert used == "vgg16 to relu4_3 (shipped with FlowChroma)"
    assert SHIPPED_VGG.stat().st_size < 16e6


def test_the_stand_in_says_so_once_and_how_to_mend_it(cache, caplog):
    with caplog.at_level(logging.WARNING):
        trunk, used = load_vgg("vgg19", ("relu1_2", "relu3_2", "relu4_2"), download=False)
    assert trunk.layers == ("relu1_2", "relu3_3", "relu4_3")
    assert trunk.arch == "vgg16"
    assert used == (
        "vgg16 to relu4_3 (shipped with FlowChroma in place of vgg19: relu3_2 -> relu3_3, relu4_2 -> relu4_3)"
    )
    (record,) = caplog.records
    line = record.getMessage()
    assert "\n" not in line
    assert used in line
    assert "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in line
    assert str(cache / "vgg19-dcbb9e9d.pth") in line


def test_other_processes_of_a_machine_stay_quiet(caplog, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with caplog.at_level(logging.INFO):
        load_vgg("vgg19", ("relu1_2",), download=False)
    assert not caplog.records

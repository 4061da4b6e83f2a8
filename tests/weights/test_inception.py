import os
import socket
import time

import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as theirs

from flowchroma.errors import UserError
from flowchroma.metrics import inception_features
from flowchroma.weights import WeightsAbsent, load_inception

NAME = "pt_inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """torch-fidelity's own network of random numbers, and its weights in a file of the published name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = theirs.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    folder = tmp_path_factory.mktemp("inception")
    torch.save(network.state_dict(), folder / NAME)
    return network, folder


def test_features_are_torch_fidelitys(reference):
    network, folder = reference
    loaded = load_inception(folder, download=False)
    frames = torch.randint(0, 256, (2, 3, 40, 50), dtype=torch.uint8)
    got = inception_features(loaded, frames)
    assert got.shape == (2, 2048)
    assert got.dtype == torch.float64
    assert not torch.equal(got[0], got[1])
    with torch.no_grad():
        torch.testing.assert_close(got, network(frames)[0].double())
    assert not any(module.training for module in loaded.train().modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_cache_is_found(reference, cache):
    cache.parent.mkdir(parents=True)
    cache.symlink_to(reference[1])
    assert torch.equal(load_inception().network.fc.weight, reference[0].fc.weight)


def test_absence_is_one_line_that_says_where(cache, tmp_path):
    with pytest.raises(WeightsAbsent) as caught:
        load_inception(tmp_path, download=False)
    line = str(caught.value)
    assert "\n" not in line
    assert "downloads are switched off" in line
    assert f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAME}" in line
    assert f"at {cache / NAME} or into {tmp_path}" in line


def test_a_silent_server_is_given_up_within_two_seconds():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.perf_counter()
        with pytest.raises(WeightsAbsent, match="no answer within"):
            load_inception(url=f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}")
        assert time.perf_counter() - start < 2


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("created-by-a-pickle",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fc.weight": torch.zeros(3)}, "does not fit FID's Inception"),
        ({"fc.weight": Hostile()}, "cannot be read as weights"),
        ([1], "not a table of tensors"),
    ],
)
def test_a_file_that_does_not_fit(content, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "own.pth")
    with pytest.raises(UserError, match=message):
        load_inception(tmp_path / "own.pth")
    assert not (tmp_path / "created-by-a-pickle").exists()
    with pytest.raises(UserError, match="no weights at"):
        load_inception(tmp_path / "nowhere")

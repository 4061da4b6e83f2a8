import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from skimage import color
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from flowchroma.colorizers import Gray, Hold, Oracle, Painter
from flowchroma.errors import UserError
from flowchroma.evaluation import Judges, Protocol, score_clip
from flowchroma.evaluation.scoring import TRUTH

CPU = torch.device("cpu")


def score(film, protocol=None, judges=None, **painters):
    protocol = protocol or Protocol()
    painters = painters or {"gray": Painter(Gray(), 240)}
    return score_clip(film, painters, protocol, judges or Judges(), CPU)


class Noisy:
    """The original with noise of its own seed a frame."""

    def __init__(self):
        self.painted, self.index = [], 0

    def start(self, reference):
        pass

    def observe(self, rgb):
        self.index += 1

    def paint(self, rgb):
        noise = np.random.default_rng(self.index).integers(-20, 20, tuple(rgb.shape))
        self.index += 1
        self.painted.append((rgb.int() + torch.from_numpy(noise)).clamp(0, 255).to(torch.uint8))
        return self.painted[-1]


def test_figures_are_those_of_independent_implementations(clip):
    film, noisy = clip(frames=7), Noisy()
    got = score(film, noisy=noisy)["noisy"].metrics
    truth = list(film)[1:]
    made = [f[0].permute(1, 2, 0).numpy() for f in noisy.painted]
    pairs = list(zip(truth, made, strict=True))
    options = {"channel_axis": 2, "gaussian_weights": True, "use_sample_covariance": False, "data_range": 255}
    assert got["psnr"] == pytest.approx(np.mean([peak_signal_noise_ratio(a, b) for a, b in pairs]), abs=1e-6)
    assert got["ssim"] == pytest.approx(np.mean([structural_similarity(a, b, **options) for a, b in pairs]), abs=1e-5)
    delta = [color.deltaE_ciede2000(color.rgb2lab(a), color.rgb2lab(b)).mean() for a, b in pairs]
    assert got["ciede2000"] == pytest.approx(np.mean(delta), abs=1e-3)
    assert got["cdc"] == pytest.approx(cdc(made), abs=1e-9)
    assert got["cdc_distance"] == pytest.approx(abs(cdc(made) - cdc(truth)), abs=1e-9)
    colourful = [np.mean([colorfulness(f) for f in frames]) for frames in (made, truth)]
    assert got["colorfulness"] == pytest.approx(colourful[0], abs=1e-3)
    assert got["colorfulness_ratio"] == pytest.approx(colourful[0] / colourful[1], abs=1e-5)


def colorfulness(rgb):
    r, g, b = rgb.astype(float).transpose(2, 0, 1)
    rg, yb = r - g, (r + g) / 2 - b
    return np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())


def cdc(frames):
    shares = [[np.bincount(f[..., c].ravel(), minlength=256) / f[..., c].size for c in range(3)] for f in frames]
    lags = [
        [[jensenshannon(shares[i][c], shares[i + t][c]) ** 2 for c in range(3)] for i in range(len(frames) - t)]
        for t in (1, 2, 4)
    ]
    return np.mean([np.mean(lag) for lag in lags])


def test_the_reference_is_not_scored(clip):
    class WrongAtFirst(Painter):
        def observe(self, rgb):
            super().observe(255 - rgb)  # whatever it does with the reference, no figure shows it directly

    score_of = score(clip(), gray=WrongAtFirst(Gray(), 240))["gray"]
    assert score_of.frames["frame"] == [1, 2, 3, 4, 5]
    assert score_of.metrics == score(clip())["gray"].metrics


def test_every_reference_starts_the_film_again(clip):
    got = score(clip(frames=7), Protocol(reference=3), hold=Painter(Hold(), 240))["hold"]
    assert got.frames["frame"] == [1, 2, 4, 5]
    psnr = got.frames["psnr"]
    assert psnr[0] > psnr[1]
    assert psnr[2] > psnr[3]
    assert psnr[2] > psnr[1], "frame 4 follows the reference 3, frame 2 is two away from the reference 0"
    # A pair over a reference would mix a given frame into the method's figures.
    assert [np.isnan(e) for e in got.frames["warp_error"]] == [True, False, True, False]


def test_the_oracle_is_the_ceiling_of_its_size(clip):
    film = clip(frames=3, size=(96, 128))
    full, half = (score(film, oracle=Oracle(size))["oracle"].metrics["psnr"] for size in (96, 24))
    assert full > 50
    assert score(film)["gray"].metrics["psnr"] < half < full


def test_a_method_that_fails_takes_no_other_with_it(clip):
    class Broken(Noisy):
        def paint(self, rgb):
            if self.index == 3:
                raise UserError("frame 3 is unreadable: mend it")
            return super().paint(rgb)

    class Small(Noisy):
        def paint(self, rgb):
            return super().paint(rgb)[..., :-1]

    got = score(clip(), good=Noisy(), broken=Broken(), small=Small())
    assert "frame 3" in str(got["broken"])
    assert "pixels" in str(got["small"])
    assert got["good"].metrics == score(clip(), good=Noisy())["good"].metrics


def test_a_film_shorter_than_it_says_is_refused(clip):
    class Short(type(clip())):
        def __iter__(self):
            return iter(list(super().__iter__())[:3])

    with pytest.raises(UserError, match="ended after 2 of 5"):
        score(Short())
    with pytest.raises(UserError, match="none of them to score"):
        score(clip(frames=1))


def test_the_original_has_figures_of_its_own_and_no_error(clip):
    own = score(clip())[TRUTH]
    assert set(own.metrics) == {"colorfulness", "warp_error", "cdc"}
    assert own.seconds["method"] is None


def test_a_frame_without_error_hides_no_other(clip):
    class ExactOnce(Noisy):
        def paint(self, rgb):
            painted = super().paint(rgb)
            return rgb if self.index == 4 else painted

    got = score(clip(), exact=ExactOnce())["exact"]
    rest = [value for value in got.frames["psnr"] if np.isfinite(value)]
    assert len(rest) == 4
    assert got.metrics["psnr"] == pytest.approx(np.mean(rest))
    assert "1 of 5 frames equal the original" in got.notices[0]
    assert score(clip(), oracle=Oracle(48))["oracle"].metrics["psnr"] == np.inf

from types import SimpleNamespace

import torch
from hydra.utils import instantiate

from flowchroma.training import FitProjections


def test_projections_are_fitted_once_and_in_no_other_network(build, compose) -> None:
    data = instantiate(compose("stage=swintexco", "data.size=[64,64]", "data.clip_length=2", "data.num_workers=0").data)
    data.setup("fit")
    matcher = build("swintexco_small")
    trainer, module = SimpleNamespace(datamodule=data), SimpleNamespace(network=matcher, device=torch.device("cpu"))
    before = matcher.embed.levels["lite16"].weight.clone()
    FitProjections(clips=3).on_fit_start(trainer, module)
    fitted = matcher.embed.levels["lite16"].weight.clone()
    assert matcher.embed.fitted
    assert (fitted - before).abs().max() > 0.01
    torch.testing.assert_close(fitted[..., 0, 0] @ fitted[..., 0, 0].T, torch.eye(48), atol=1e-4, rtol=0)
    again = build("swintexco_small")
    again.load_state_dict(matcher.state_dict())
    data.seed = 5  # other clips would give other projections
    module.network = again
    FitProjections(clips=3).on_fit_start(trainer, module)
    assert torch.equal(again.embed.levels["lite16"].weight, fitted)
    module.network = torch.nn.Linear(2, 2)
    FitProjections().on_fit_start(trainer, module)


def test_the_same_run_fits_the_same_projections(build, compose) -> None:
    config = compose("stage=swintexco", "data.size=[64,64]", "data.clip_length=2", "data.num_workers=0").data
    found = []
    for _ in range(2):
        data, matcher = instantiate(config), build("swintexco_small")
        data.setup("fit")
        module = SimpleNamespace(network=matcher, device=torch.device("cpu"))
        FitProjections(clips=2).on_fit_start(SimpleNamespace(datamodule=data), module)
        found.append(matcher.embed.levels["xfeat8"].weight)
    assert torch.equal(*found)

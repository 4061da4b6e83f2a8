import pytest
import torch

from flowchroma import colorizers, models
from flowchroma.models.contracts import Colorizer, FlowNetwork, Fusion, Matcher

FUSIONS = [value for value in vars(models).values() if isinstance(value, type) and issubclass(value, Fusion)]


@pytest.mark.parametrize(
    ("contract", "kept", "broken"),
    [
        (FlowNetwork, [models.MemFlow], [models.SwinTExCo, models.BlendFusion]),
        (Matcher, [models.SwinTExCo, models.SwinTExCoSmall], [models.MemFlow, models.SimpleFusion]),
        (Fusion, [models.BlendFusion, models.InverseVarianceFusion], [models.MemFlow, models.SwinTExCo]),
        (
            Colorizer,
            [models.FlowChroma, *(getattr(colorizers, name) for name in ("Gray", "Hold", "ChainedDis"))],
            [models.MemFlow, colorizers.Painter],
        ),
    ],
)
def test_a_class_tells_what_it_gives(contract: type, kept: list[type], broken: list[type]) -> None:
    assert all(issubclass(one, contract) for one in kept)
    assert not any(issubclass(one, contract) for one in broken)


def test_what_a_fusion_reads_is_found_for_it_and_nothing_else(build) -> None:
    assert len(FUSIONS) == 6
    luma, references = 100 * torch.rand(1, 1, 32, 32), 50 * torch.rand(1, 1, 3, 32, 32)
    flow, matcher = build("memflow_small", "model.cut=null"), build("swintexco_small")
    for kind in (made() for made in FUSIONS):
        with torch.no_grad():
            system = models.FlowChroma(flow, matcher, kind, every=1).eval()
            state = system.observe(luma, luma.expand(-1, 2, -1, -1), system.start(references))
            _, state = system.step(luma, state)
            signals = system.estimate(luma, state)
        assert (signals.recent is not None) == kind.reads_recent
        assert (signals.match.voted is not None) == kind.reads_votes
        assert (signals.origin is not None) == kind.reads_origin

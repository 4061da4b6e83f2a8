import errno
from functools import partial

import pytest
import torch
import torch._dynamo

from flowchroma.app.run.building import build_stage
from flowchroma.app.run.failures import explain_machine_failures
from flowchroma.errors import UserError
from flowchroma.training import Stage

FRESH = ["stage=fusion", "loss=l1", "weights.flow=null", "weights.matcher=null"]


def built(compose, *options: str) -> Stage:
    torch.manual_seed(0)
    return build_stage(compose(*FRESH, *options))


def test_compiling_leaves_names_and_the_frozen_alone(compose) -> None:
    plain, compiled = built(compose), built(compose, "compile=true")
    assert compiled.trained._compiled_call_impl is not None
    assert plain.trained._compiled_call_impl is None
    assert compiled.network.flow._compiled_call_impl is None
    assert compiled.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("model", ["simple", "blend"])
@torch.no_grad()
def test_what_stages_call_is_compiled(compose, monkeypatch, model: str) -> None:
    graphs = []

    def count(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        graphs.append(inputs)
        return graph

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count))
    compiled, plain = (built(compose, f"model={model}", f"compile={on}").network.eval() for on in ("true", "false"))
    references, luma = torch.rand(1, 1, 3, 64, 64) * 50, torch.rand(1, 1, 64, 64) * 100
    found, expected = (network.step(luma, network.start(references))[0] for network in (compiled, plain))
    assert graphs
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_the_memory_layout_changes_no_value(compose) -> None:
    plain, last = built(compose, "model=unet"), built(compose, "model=unet", "channels_last=true")
    weights = [p for p in last.trained.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    for one, other in zip(plain.state_dict().values(), last.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    references, luma = torch.rand(1, 1, 3, 32, 32) * 50, torch.rand(1, 1, 32, 32) * 100
    found = [stage.network.eval().step(luma, stage.network.start(references))[0] for stage in (plain, last)]
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)


def test_what_machines_do_is_said_in_one_line() -> None:
    failures = {
        OSError(errno.ENOSPC, "No space left on device", "panels/1.png"): "while writing panels/1.png: make room",
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "): "died: DataLoader worker (pid 7)",
        torch.OutOfMemoryError("CUDA out of memory"): "lower data.batch_size",
        torch._dynamo.exc.InternalTorchDynamoError("no compiler"): "compile=true does not work here (no compiler",
    }
    for failure, said in failures.items():
        with pytest.raises(UserError) as refusal, explain_machine_failures():
            raise failure
        assert said in str(refusal.value)
        assert "\n" not in str(refusal.value)
    with pytest.raises(RuntimeError, match="a bug"), explain_machine_failures():
        raise RuntimeError("a bug")

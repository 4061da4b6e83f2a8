from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from flowchroma.app.networks import build_without_weights
from flowchroma.app.records import read_record
from flowchroma.app.settings import CONF, HOME
from flowchroma.data import ClipDataModule, RolloutDataModule
from flowchroma.models import ErrorModel

STAGES = ("memflow", "swintexco", "fusion", "fusion_rollouts", "bidirectional")
# What has a file of its own test elsewhere, or is a command's whole configuration.
GROUPS = ("loss", "optimizer", "scheduler", "trainer", "logger", "callbacks", "data", "model", "stage")

TEST_SETS = ("davis30", "videvo20", "folder")  # for evaluation alone
ROLLOUTS = "rollouts"  # for training alone


def choices(group: str) -> list[str]:
    return sorted(p.stem for p in Path(CONF, group).glob("*.yaml") if not p.stem.startswith("_"))


@pytest.mark.parametrize("group", GROUPS)
def test_help_names_every_choice(compose, group: str) -> None:
    with_hydra = Path(CONF, "hydra", "help", "flowchroma.yaml").read_text()
    trained_on = [name for name in choices(group) if name not in TEST_SETS]
    assert all(name in with_hydra for name in trained_on), trained_on


@pytest.mark.parametrize("group", ["data", "method"])
def test_help_of_evaluate_names_every_choice(group: str) -> None:
    text = Path(CONF, "evaluate.yaml").read_text()
    assert all(name in text for name in choices(group) if name != ROLLOUTS), choices(group)


@pytest.mark.parametrize("method", choices("method"))
def test_methods_are_built(compose, method: str) -> None:
    config = compose(f"method={method}", name="evaluate")
    (name,) = config.method
    assert name == method
    made = instantiate(config.method[name])
    assert all(hasattr(made, step) for step in ("start", "observe", "paint" if method == "oracle" else "step"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_picks_what_fits_it(compose, stage: str) -> None:
    config = compose(f"stage={stage}")
    assert config.stage.name == stage
    fitting = {"memflow": "MemFlowSmall", "swintexco": "SwinTExCoSmall", "fusion": "SimpleFusion"}
    fitting |= {"fusion_rollouts": "OriginFusion"}
    assert config.model._target_.endswith(fitting.get(stage, "BidirectionalFusion"))
    assert ("Rollout" in config.data._target_) == (stage in ("fusion_rollouts", "bidirectional"))


def test_what_the_user_names_wins_over_the_stage_and_the_experiment(compose) -> None:
    config = compose("stage=fusion", "model=unet", "loss=l1")
    assert config.model._target_.endswith("UNetFusion")
    assert config.loss.temporal == 0
    assert compose("+experiments=demo_fusion", "model=placeholder").model._target_.endswith("PlaceholderFusion")


def test_the_asked_weights_are_the_default(compose) -> None:
    loss = compose().loss
    assert (loss.l1, loss.perceptual, loss.contextual, loss.temporal) == (1.0, 0.05, 0.1, 0.5)
    assert loss.trunk == "vgg19"


@pytest.mark.parametrize("model", choices("model"))
def test_a_model_is_built_by_its_file_alone(model: str) -> None:
    config = OmegaConf.load(Path(CONF, "model", f"{model}.yaml"))
    if model == "swintexco":  # pretrained weights are not on every machine
        config.trunk.weights = "none"
    network = instantiate(config)
    assert isinstance(network, torch.nn.Module)
    assert config._target_.endswith(type(network).__name__)


@pytest.mark.parametrize("model", ["blend", "inverse_variance"])
def test_the_config_gives_the_error_model_as_it_is_documented(compose, tmp_path: Path, model: str) -> None:
    config = compose("stage=fusion", f"model={model}")
    assert instantiate(config.model).error_model == ErrorModel()
    changed = compose("stage=fusion", f"model={model}", "model.error_model.matched=7").model
    assert instantiate(changed).error_model == ErrorModel(matched=7)
    del config.model.error_model  # as runs were recorded before
    OmegaConf.save(OmegaConf.create({"model": config.model}), tmp_path / "config.yaml")
    read = read_record(tmp_path / "config.yaml").model
    assert instantiate(read).error_model == ErrorModel(per_similarity=20 if model == "blend" else 5)


@pytest.mark.parametrize("loss", choices("loss"))
def test_losses_are_built(compose, build, loss: str) -> None:
    shipped = ["loss.weights=shipped"] if loss in ("flowchroma", "matching") else []
    built = instantiate(compose(f"loss={loss}", *shipped).loss)
    if loss == "swintexco":  # it waits for the trunk that it looks through
        built = built(matching_trunk=build("swintexco_small").embed.trunk)
    assert built.weights
    assert all(weight > 0 for weight in built.weights.values())


def test_flow_without_exact_flow_has_no_use_for_it(compose) -> None:
    config = compose("stage=memflow", "loss=flow_self", "stage.module.occlusion=forward_backward")
    assert set(instantiate(config.loss).weights) == {"color", "census", "smoothness"}
    mixed = instantiate(compose("stage=memflow", "loss.photometric=0.2", "loss.color=0").loss)
    assert mixed.weights == {"epe": 0.1, "photometric": 0.2}


def test_swintexco_is_trained_as_published(compose, build) -> None:
    config = compose("+experiments=swintexco_published")
    network = build("swintexco")
    loss = instantiate(config.loss)(matching_trunk=network.embed)
    assert loss.weights == {"l1": 1.0, "perceptual": 0.15, "contextual": 0.015, "smoothness": 150.0}
    assert list(loss.terms["contextual"].layers.values()) == [8.0, 4.0, 2.0, 1.0]
    assert (config.stage.module.adversarial, config.stage.module.after_epoch) == (0.015, 3)
    optimizer = instantiate(config.optimizer)([(n, p) for n, p in network.named_parameters() if p.requires_grad])
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    parts = {n.split(".")[0]: rates[id(p)] for n, p in network.named_parameters() if p.requires_grad}
    assert parts == {"warp": 3e-5, "colornet": 6e-5}  # the trunk judges, and is frozen
    group = optimizer.param_groups[0]
    assert (tuple(group["betas"]), group["amsgrad"], group["weight_decay"]) == ((0.5, 0.999), True, 0.01)
    schedule = instantiate(config.scheduler)(optimizer)
    assert (schedule.power, schedule.total_iters) == (0.9, config.trainer.max_steps)
    assert config.trainer.max_epochs == 40


@pytest.mark.parametrize("trainer", choices("trainer"))
def test_flow_is_trained_as_published(compose, trainer: str) -> None:
    config = compose("stage=memflow", f"trainer={trainer}")
    assert config.trainer.gradient_clip_val == 1.0
    optimizer = instantiate(config.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    schedule = instantiate(config.scheduler)(optimizer)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert isinstance(schedule, torch.optim.lr_scheduler.OneCycleLR)
    assert schedule.total_steps == config.trainer.max_steps


@pytest.mark.parametrize("data", choices("data"))
def test_data_are_built(compose, data: str) -> None:
    kind = RolloutDataModule if data == ROLLOUTS else ClipDataModule
    assert isinstance(instantiate(compose(f"data={data}").data), kind)


@pytest.mark.parametrize("steps", [1, 2, 10, 20, 50, 100])
@pytest.mark.parametrize("scheduler", choices("scheduler"))
@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_schedules_step_from_the_first_to_the_last_step(compose, optimizer: str, scheduler: str, steps: int) -> None:
    config = compose(f"optimizer={optimizer}", f"scheduler={scheduler}", f"trainer.max_steps={steps}")
    stepper = instantiate(config.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    schedule = instantiate(config.scheduler)(stepper)
    for _ in range(steps - 1):
        stepper.step()
        schedule.step()
    assert 0 <= stepper.param_groups[0]["lr"] <= config.optimizer.lr


@pytest.mark.parametrize("trainer", choices("trainer"))
def test_trainers_are_built(compose, trainer: str) -> None:
    config = compose(f"trainer={trainer}").trainer
    assert config.use_distributed_sampler is False
    assert config.precision == ("bf16-mixed" if trainer in ("gpu", "ddp", "slurm") else "32-true")
    assert ("strategy" in config) == (trainer in ("ddp", "ddp_cpu", "slurm"))
    settings = OmegaConf.merge(config, {"accelerator": "cpu", "devices": 1, "default_root_dir": None})
    assert instantiate(settings).max_steps == config.max_steps


@pytest.mark.parametrize(
    ("environment", "nodes", "devices"),
    [
        ({}, 1, "auto"),
        ({"SLURM_NNODES": "3", "SLURM_NTASKS_PER_NODE": "4"}, 3, 4),
        # torchrun, which srun may have started once a machine
        ({"SLURM_NNODES": "2", "GROUP_WORLD_SIZE": "2", "SLURM_NTASKS_PER_NODE": "1", "LOCAL_WORLD_SIZE": "8"}, 2, 8),
    ],
)
def test_a_cluster_says_how_many_processes_there_are(
    compose, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], nodes: int, devices: int | str
) -> None:
    for name in ("SLURM_NNODES", "SLURM_NTASKS_PER_NODE", "GROUP_WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    trainer = compose("trainer=slurm").trainer
    assert (trainer.num_nodes, trainer.devices) == (nodes, devices)


def test_the_callback_that_restores_comes_first(compose) -> None:
    for choice in choices("callbacks"):
        assert next(iter(compose(f"callbacks={choice}").callbacks)) == "resumable"


@pytest.mark.parametrize("experiment", sorted(p.stem for p in (HOME / "experiments").glob("*.yaml")))
def test_experiments_compose(compose, experiment: str) -> None:
    config = compose(f"+experiments={experiment}")
    told = experiment.replace("rule", "fusion")  # of a fusion that has learnt nothing, as a run
    assert config.stage.name.removesuffix("_rollouts") in told or experiment.startswith("sweep_")
    assert isinstance(build_without_weights(config.model), torch.nn.Module)
    assert isinstance(instantiate(config.data), ClipDataModule | RolloutDataModule)

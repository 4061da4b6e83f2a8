import os
from statistics import mean, stdev

import pytest
from scipy import stats

from flowchroma.runs import (
    comparison_summary,
    differences,
    find_runs,
    ideas_of,
    read_run,
    seed_noise_of,
    validation_mismatch,
)

LR = {"optimizer": {"lr": 0.01}, "scheduler": {"max_lr": 0.01}}
UNET = {"model": {"_target_": "flowchroma.models.UNetFusion", "width": 24, "depth": 3}}
ELSEWHERE = {"trainer": {"log_every_n_steps": 7}, "data": {"num_workers": 4}, "run_dir": "there"}


def runs_of(*paths):
    return find_runs(paths).runs


def test_options_that_only_follow_another_are_not_named_and_where_it_ran_is_no_difference(make_run):
    runs = runs_of(make_run("a", seed=0), make_run("b", changes={**LR, **ELSEWHERE}, seed=1))
    assert differences(runs) == {"seed": [0, 1], "optimizer.lr": [0.001, 0.01]}


def test_the_length_of_a_run_is_not_named_after_its_schedule(make_run):
    longer = {"trainer": {"max_steps": 80}, "scheduler": {"T_max": 80}}
    shorter = make_run("a", changes={"scheduler": {"T_max": 40}})
    assert differences(runs_of(shorter, make_run("b", changes=longer))) == {"trainer.max_steps": [40, 80]}


def test_two_options_that_differ_are_both_named(make_run):
    changes = {**LR, "data": {"size": [64, 64]}}
    table = differences(runs_of(make_run("a"), make_run("b", changes=changes)))
    assert table == {"data.size": [[48, 48], [64, 64]], "optimizer.lr": [0.001, 0.01]}


def test_another_class_stands_for_what_comes_with_it(make_run):
    a, b = make_run("a"), make_run("b", changes=UNET, choices={"model": "unet"})
    assert differences(runs_of(a, b)) == {"model": ["SimpleFusion", "unet"]}
    wide = make_run("c", changes={"model": {**UNET["model"], "width": 48}}, choices={"model": "unet"})
    assert differences(runs_of(a, b, wide))["model.width"] == [56, 24, 48]


def test_another_file_of_a_group_stands_for_what_is_in_it(make_run):
    l1 = {"loss": {"_target_": "color_loss", "l1": 1.0, "temporal": 0.0, "trunk": None}}
    whole = {"loss": {"_target_": "color_loss", "l1": 1.0, "temporal": 0.5, "trunk": "vgg19"}}
    a = make_run("a", changes=l1, choices={"loss": "l1", "trainer": "cpu"})
    b = make_run("b", changes=whole, choices={"loss": "flowchroma", "trainer": "gpu"})
    assert differences(runs_of(a, b)) == {"loss": ["l1", "flowchroma"]}
    less = {"loss": {**whole["loss"], "temporal": 0.1}}
    c = make_run("c", changes=less, choices={"loss": "flowchroma"})
    found = differences(runs_of(a, b, c))
    assert found == {"loss": ["l1", "flowchroma", "flowchroma"], "loss.temporal": [0.0, 0.5, 0.1]}
    same = make_run("d", changes=l1, choices={"loss": "flowchroma"})  # brought to the same by hand
    assert differences(runs_of(a, same)) == {}


def test_an_option_that_one_run_lacks_is_a_difference(make_run):
    table = differences(runs_of(make_run("a"), make_run("b", changes={"loss": {"l1": 1.0}})))
    assert table == {"loss.l1": [None, 1.0]}


def test_runs_that_differ_by_seed_alone_are_one_idea(make_run):
    plain = [make_run(f"p{seed}", psnr, seed=seed) for seed, psnr in enumerate((30.0, 30.4, 30.2))]
    fast = [make_run(f"f{seed}", psnr, changes=LR, seed=seed) for seed, psnr in enumerate((31.0, 31.1))]
    cut = make_run("f2", None, changes=LR, seed=2)
    ideas = ideas_of(runs_of(*plain, *fast, cut))
    assert [(idea.label, len(idea.runs), idea.values) for idea in ideas] == [
        ("lr=0.01", 3, (31.0, 31.1)),
        ("lr=0.001", 3, (30.0, 30.4, 30.2)),
    ]
    assert ideas[1].mean == pytest.approx(mean(ideas[1].values))
    assert ideas[1].spread == pytest.approx(stdev(ideas[1].values))


def test_with_two_ideas_the_margin_is_that_of_the_t_test(make_run):
    first, second = (30.0, 30.4, 30.2), (30.6, 30.9, 30.5, 30.8)
    paths = [make_run(f"a{i}", value, seed=i) for i, value in enumerate(first)]
    paths += [make_run(f"b{i}", value, changes=LR, seed=i) for i, value in enumerate(second)]
    noise = seed_noise_of(ideas_of(runs_of(*paths)))
    interval = stats.ttest_ind(second, first).confidence_interval(0.95)
    assert noise.margin(3, 4) == pytest.approx((interval.high - interval.low) / 2, rel=1e-4)


def test_with_three_ideas_the_margin_is_tukeys(make_run):
    groups = [(30.0, 30.4, 30.2), (30.6, 30.9, 30.5), (31.0, 31.3, 31.1)]
    paths = []
    for g, values in enumerate(groups):
        changes = {"optimizer": {"lr": 0.1 * (g + 1)}}
        paths += [make_run(f"{g}{i}", value, changes=changes, seed=i) for i, value in enumerate(values)]
    noise = seed_noise_of(ideas_of(runs_of(*paths)))
    interval = stats.tukey_hsd(*groups).confidence_interval(0.95)
    assert noise.margin(3, 3) == pytest.approx((interval.high[0][1] - interval.low[0][1]) / 2, rel=1e-3)


def test_the_verdict_tells_a_lead_from_noise(make_run):
    a = [make_run(f"a{i}", value, seed=i) for i, value in enumerate((30.0, 30.4))]
    close = [make_run(f"c{i}", value, changes=LR, seed=i) for i, value in enumerate((30.3, 30.5))]
    far = [make_run(f"f{i}", value, changes=UNET, seed=i) for i, value in enumerate((35.3, 35.5))]

    def said(*paths):
        ideas = ideas_of(runs_of(*paths))
        return comparison_summary(ideas, seed_noise_of(ideas))

    assert "That is less than the" in said(*a, *close)
    assert "That is more than the" in said(*a, *far)
    assert said(*a, *far).startswith("model=UNetFusion leads: val/psnr 35.40 dB ± 0.14 over 2 seeds, 5.20 dB above")
    assert "nothing tells this lead from noise" in said(a[0], far[0])
    assert said(a[0]).endswith(": val/psnr 30.00 dB.")
    assert said(make_run("cut", None)) == ""


def test_a_metric_of_which_less_is_better_ranks_the_other_way(make_run):
    a, b = make_run("a"), make_run("b", changes=LR)
    for path, value in ((a, 2.0), (b, 1.0)):
        (path / "results.csv").write_text(f"val/epe\n{value}\n")
    ideas = ideas_of(runs_of(a, b), "val/epe")
    assert [idea.mean for idea in ideas] == [1.0, 2.0]
    assert "lr=0.01 leads: val/epe 1.00 px, 1.00 px below" in comparison_summary(ideas, seed_noise_of(ideas), "val/epe")


def test_runs_without_a_config_are_no_twins(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("step,val/psnr\n1,20\n")
    assert len(ideas_of([read_run(tmp_path / name) for name in "ab"])) == 2


def test_different_validation_clips_are_told(make_run):
    a, b = make_run("a"), make_run("b", changes={"data": {"size": [64, 64]}})
    c = make_run("c", changes={"data": {"clip_length": 5, "batch_size": 1}})
    assert "data.size" in validation_mismatch(runs_of(a, b))
    assert validation_mismatch(runs_of(a, c)) == ""
    assert validation_mismatch([]) == ""


def test_a_seed_that_was_run_twice_counts_once_by_its_last_run(make_run):
    first, again = make_run("first", 30.0, seed=1), make_run("again", 30.2, seed=1)
    other = make_run("other", 31.0, seed=2)
    os.utime(first / "results.csv", ns=(1, 1))
    (idea,) = ideas_of(runs_of(again, other, first))
    assert (len(idea.runs), idea.values, idea.repeated) == (3, (30.2, 31.0), 1)
    noise = seed_noise_of([idea])
    assert noise.freedom == 1
    assert "seed was run again do not count" in comparison_summary([idea], noise)
    (alone,) = ideas_of(runs_of(first, again))
    assert (alone.values, alone.spread) == ((30.2,), None)
    assert "run again" not in comparison_summary(ideas_of(runs_of(again, other)), noise)

"""A whole small run on moving blobs: stages, freezing, stopping, checkpoints, resuming."""

import pytest
import torch
from tests.training.blobs import MODEL, Blobs, config, curve, rows
from torch import nn

from lungmorph.errors import InputError
from lungmorph.networks import (
    LevelConfig,
    MultiLevel,
    MultiLevelConfig,
    build,
    load_model,
    save_model,
)
from lungmorph.training import (
    Criterion,
    StageConfig,
    TrainingConfig,
    default_stages,
    evaluate,
    run,
)
from lungmorph.training.average import update_average
from lungmorph.training.source import stream
from lungmorph.training.warm_start import first_network


@pytest.fixture(scope="module")
def validation():
    return [Blobs(seed=9).pair(n) for n in range(2)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, validation):
    folder = tmp_path_factory.mktemp("run")
    settings = config((160, 6), validate_every=40, checkpoint_minutes=5)
    return run(settings, Blobs(), validation, folder), folder


def test_learns_to_find_the_motion_of_unseen_pairs(finished, validation):
    result, _ = finished
    assert result.finished
    assert result.steps == 172
    before = evaluate(build(MODEL), validation)
    after = evaluate(result.network, validation)
    assert before.error_mm == pytest.approx(before.start_mm, rel=1e-2)
    assert after.error_mm < 0.75 * after.start_mm
    assert after.lncc > before.lncc


def test_loss_falls_and_every_step_is_logged_once(finished):
    log = rows(finished[1] / "train.csv")
    assert [int(row["step"]) for row in log] == list(range(1, 173))
    assert {row["stage"] for row in log} == {"level-1", "level-2", "joint"}
    losses = [float(row["loss"]) for row in log if row["stage"] == "level-1"]
    assert sum(losses[-15:]) < 0.8 * sum(losses[:15])


def test_weights_written_are_the_network_returned(finished):
    result, folder = finished
    network, read, card = load_model(folder / "weights.safetensors")
    assert read == MODEL
    assert card["training"]["steps"] == 172
    for a, b in zip(network.parameters(), result.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_frozen_level_keeps_its_weights_bit_for_bit(tmp_path):
    stages = default_stages((4, 5), patience=None)
    first = run(config(stages=stages[:1]), Blobs(), [], tmp_path / "a")
    both = run(config(stages=stages), Blobs(), [], tmp_path / "b")
    one, two = first.network.levels, both.network.levels
    assert all(
        torch.equal(a, b) for a, b in zip(*map(nn.Module.parameters, (one[0], two[0])), strict=True)
    )
    assert not any(
        torch.equal(a, b) for a, b in zip(*map(nn.Module.parameters, (one[1], two[1])), strict=True)
    )


SHORT = config((3, 3), 2, validate_every=2)  # stages end after steps 3, 6 and 8


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, validation):
    folder = tmp_path_factory.mktemp("whole")
    return run(SHORT, Blobs(), validation[:1], folder), folder


@pytest.mark.parametrize("cut", [1, 5, 7])
def test_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path, validation, uninterrupted, cut):
    whole, folder = uninterrupted
    with pytest.raises(KeyboardInterrupt):
        run(SHORT, Blobs(fail_at=cut), validation[:1], tmp_path)
    source = Blobs()
    again = run(SHORT, source, validation[:1], tmp_path)
    assert source.asked == list(range(cut, 8))
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    for name in ("train.csv", "validation.csv"):
        assert curve(folder / name) == curve(tmp_path / name)


def test_checkpoint_from_before_looks_and_init_were_written_down_goes_on(
    tmp_path, validation, uninterrupted
):
    with pytest.raises(KeyboardInterrupt):
        run(SHORT, Blobs(fail_at=5), validation[:1], tmp_path)
    older = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del older["init"], older["progress"]["looked_at"]
    torch.save(older, tmp_path / "checkpoint.pt")
    run(SHORT, Blobs(), validation[:1], tmp_path)
    for name in ("train.csv", "validation.csv"):
        assert curve(uninterrupted[1] / name) == curve(tmp_path / name)


def test_run_that_is_done_stays_as_it_is(uninterrupted, validation):
    whole, folder = uninterrupted
    source = Blobs()
    again = run(SHORT, source, validation[:1], folder)
    assert again.finished
    assert source.asked == []
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_run_that_is_done_can_have_another_stage_and_no_other_seed(tmp_path):
    run(config((2, 1), 0), Blobs(), [], tmp_path)
    longer = config((2, 1), 3)
    assert run(longer, Blobs(), [], tmp_path).steps == 6
    with pytest.raises(InputError, match="through other stages"):
        run(config((2, 1), 0), Blobs(), [], tmp_path)
    with pytest.raises(InputError, match=f"one with the seed {longer.seed}"):
        run(longer.model_copy(update={"seed": longer.seed + 1}), Blobs(), [], tmp_path)


def test_run_goes_on_without_the_weights_it_began_with_and_with_no_others(tmp_path):
    first = tmp_path / "first.safetensors"
    save_model(build(MODEL, 5), MODEL, {}, first)
    begun = config((1, 1), 0, init=str(first))
    run(begun, Blobs(), [], tmp_path / "run")
    first.unlink()
    longer = begun.model_copy(update={"stages": default_stages((1, 1), 2, patience=None)})
    assert run(longer, Blobs(), [], tmp_path / "run").steps == 4
    for other in (None, str(tmp_path / "other.safetensors")):
        with pytest.raises(InputError, match=r"init=first\.safetensors, which is not read again"):
            run(longer.model_copy(update={"init": other}), Blobs(), [], tmp_path / "run")


def test_stages_of_one_name_are_told_apart_in_the_logs(tmp_path):
    stage = StageConfig(name="again", levels=1, max_steps=2)
    stages = (stage, stage.model_copy(update={"name": "both", "levels": 2}), stage)
    run(config(stages=stages), Blobs(), [Blobs(seed=9).pair(0)], tmp_path)
    for name in ("train.csv", "validation.csv"):
        told = [row["stage"] for row in rows(tmp_path / name)]
        assert list(dict.fromkeys(told)) == ["again (1)", "both", "again (3)"]
    assert "stage again (3) from its step 0" in (tmp_path / "log.txt").read_text()


def test_weights_that_are_not_finite_are_not_kept(tmp_path):
    run(config((2, 1), 0), Blobs(), [], tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    endless = config((2, 1), 3)
    stage = endless.stages[2].model_copy(update={"learning_rate": 1e30})
    endless = endless.model_copy(update={"stages": (*endless.stages[:2], stage), "warmup_steps": 0})
    with pytest.raises(FloatingPointError, match="the command with the change goes on"):
        run(endless, Blobs(), [], tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_what_a_kill_left_of_a_checkpoint_is_removed(tmp_path):
    (tmp_path / ".0123456789ab.pt").write_bytes(b"half of one")
    (tmp_path / ".keep.pt").write_bytes(b"somebody's own")
    run(config((1,), 0), Blobs(), [], tmp_path)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == [".keep.pt"]


def test_no_time_left_stops_at_once_and_leaves_weights(tmp_path):
    result = run(config(), Blobs(), [], tmp_path, minutes=0)
    assert not result.finished
    assert result.steps == 0
    assert load_model(tmp_path / "weights.safetensors")[1] == MODEL
    assert run(config((2, 2), 1), Blobs(), [], tmp_path).finished


def test_stage_ends_on_its_plateau(tmp_path, validation):
    # asks for more improvement at each validation than there can be
    stage = StageConfig(
        name="one", levels=1, output_weights=(1.0,), max_steps=50, patience=2, min_improvement=0.99
    )
    result = run(config(stages=(stage,), validate_every=3), Blobs(), validation, tmp_path)
    assert result.finished
    assert result.steps == 6


def test_a_stage_that_spoils_the_network_ends_with_what_it_began_with(tmp_path, validation):
    stage = StageConfig(
        name="wild", levels=1, output_weights=(1.0,), max_steps=3, learning_rate=0.5
    )
    result = run(config(stages=(stage,), validate_every=1), Blobs(), validation, tmp_path)
    for a, b in zip(result.network.parameters(), build(MODEL).parameters(), strict=True):
        assert torch.equal(a, b)


def test_folder_with_a_run_is_not_overwritten(tmp_path):
    run(config((1, 1), 0), Blobs(), [], tmp_path)
    with pytest.raises(InputError, match="checkpoint"):
        run(config((1, 1), 0), Blobs(), [], tmp_path, resume=False)


def test_checkpoint_of_another_network_or_a_damaged_one_is_refused(tmp_path):
    run(config((1, 1), 0), Blobs(), [], tmp_path)
    other = MODEL.model_copy(update={"spacing_mm": 2.0})
    with pytest.raises(InputError, match="another config"):
        run(config((1, 1), 0, model=other), Blobs(), [], tmp_path)
    checkpoint = tmp_path / "checkpoint.pt"
    whole = checkpoint.read_bytes()
    # text: what torch takes for its old format
    for damaged in (whole[:1000], b"hello\n"):
        checkpoint.write_bytes(damaged)
        with pytest.raises(InputError, match="checkpoint"):
            run(config((1, 1), 0), Blobs(), [], tmp_path)
    torch.save({"version": 2}, checkpoint)
    with pytest.raises(InputError, match="one without average"):
        run(config((1, 1), 0), Blobs(), [], tmp_path)


def test_diverged_loss_is_told(tmp_path):
    class Broken(Blobs):
        def pair(self, step):
            pair = super().pair(step)
            return pair | {"displacement": pair["displacement"] * float("nan")}

    with pytest.raises(FloatingPointError, match="step 0"):
        run(config(), Broken(), [], tmp_path)


def test_validation_that_is_not_finite_is_told(tmp_path, validation):
    broken = dict(validation[0])
    broken["moving"] = torch.full_like(broken["moving"], torch.nan)
    with pytest.raises(
        FloatingPointError, match="validation loss is nan at step 0 of stage level-1"
    ):
        run(config((3,), 0, validate_every=1), Blobs(), [broken], tmp_path)


def test_global_random_state_is_neither_used_nor_changed(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = run(config((2, 1), 0), Blobs(), [], tmp_path / "a")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    second = run(config((2, 1), 0), Blobs(), [], tmp_path / "b")
    for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_workers_do_not_change_the_pairs():
    alone = list(stream(Blobs(), range(3, 7)))
    helped = list(stream(Blobs(), range(3, 7), workers=1))
    assert len(alone) == len(helped) == 4
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a["moving"], b["moving"])


def test_plateau():
    plateau = Criterion(patience=2, min_improvement=0.1)
    assert plateau.observe(10.0)
    assert plateau.observe(9.5)  # better, but not by a tenth
    assert not plateau.reached
    assert plateau.observe(8.9)  # by a tenth of the last that counted
    assert not plateau.observe(9.0)
    assert not plateau.reached
    copy = Criterion(patience=2, min_improvement=0.1)
    copy.restore(plateau.state())
    for one in (plateau, copy):
        assert not one.observe(9.0)
        assert one.reached == "plateau"
    assert plateau.best == 8.9


def test_target_ends_a_stage_and_a_loss_below_zero_can_improve():
    criterion = Criterion(patience=1, min_improvement=0.1, target=-0.5)
    criterion.observe(-0.1)
    criterion.observe(-0.2)
    assert not criterion.reached
    criterion.observe(-0.5)
    assert criterion.reached == "target"


def test_average_follows_its_formula():
    average, model = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        average.weight.fill_(0)
        model.weight.fill_(1)
    update_average(average, model, decay=0.5, step=0)
    assert average.weight.item() == pytest.approx(0.9)  # decay 1/10 at first
    update_average(average, model, decay=0.5, step=1000)
    assert average.weight.item() == pytest.approx(0.95)


def test_stages_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="runs 3 levels of 2"):
        config(stages=default_stages((1, 1, 1)))
    with pytest.raises(ValueError, match="at least one"):
        StageConfig(name="x", levels=1, frozen=(0,), output_weights=(1.0,), max_steps=1)
    with pytest.raises(ValueError, match="output_weights"):
        StageConfig(name="x", levels=2, output_weights=(1.0,), max_steps=1)


def test_level_that_carries_more_features_begins_fresh(tmp_path):
    first = LevelConfig(downsamplings=0, entry=(), body=(6,))
    then = LevelConfig(downsamplings=0, entry=(), body=(4,), carry=True)
    two, three = (MultiLevelConfig(levels=(first, *[then] * n)) for n in (1, 2))
    save_model(build(two, 5), two, {}, tmp_path / "two.safetensors")
    network = first_network(TrainingConfig(model=three, init=str(tmp_path / "two.safetensors")))
    fresh = build(three, 0)
    for n, source in enumerate((build(two, 5), build(two, 5), fresh)):
        for name, value in source.levels[n].state_dict().items():
            assert torch.equal(network.levels[n].state_dict()[name], value)


def test_levels_that_the_first_weights_lack_begin_as_a_copy_of_the_last(finished):
    """But only a level that is built alike; another begins as it would without them."""
    _, folder = finished
    weights = folder / "weights.safetensors"
    two, _, _ = load_model(weights)
    first, second = MODEL.levels
    other = second.model_copy(update={"body": (*second.body, 4)})
    model = MODEL.model_copy(update={"levels": (first, second, second, other)})
    settings = TrainingConfig(model=model, init=str(weights), seed=3)
    network = first_network(settings)
    assert isinstance(network, MultiLevel)
    fresh = build(model, 3)
    for level, source in zip(network.levels, (0, 1, 1), strict=False):
        for name, value in two.levels[source].state_dict().items():
            assert torch.equal(level.state_dict()[name], value)
    for name, value in fresh.levels[3].state_dict().items():
        assert torch.equal(network.levels[3].state_dict()[name], value)

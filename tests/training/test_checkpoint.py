"""A training that is stopped anywhere ends as the undisturbed one; a foreign checkpoint is refused."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mobilenas.errors import InputError
from mobilenas.training import Recipe, load_data, train
from mobilenas.training.checkpoint import read_checkpoint, write_checkpoint

RECIPE = Recipe(epochs=4, batch_size=128, warmup_epochs=1)


class KilledError(Exception):
    """Stands for a process that is gone."""


def killed_at(step):
    count = 0

    def pause():
        nonlocal count
        count += 1
        if count > step:
            raise KilledError

    return pause


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_a_resumed_training_ends_bit_for_bit_as_an_undisturbed_one(digits, network, tmp_path, optimizer):
    recipe = replace(RECIPE, optimizer=optimizer, learning_rate=0.1)
    undisturbed = network()
    expected = train(undisturbed, digits, recipe, seed=3)
    path = tmp_path / "checkpoints" / "one.safetensors"
    stops = 0
    for step in (5, 14, 12, 17):  # in the first epoch, then one epoch further each time
        with pytest.raises(KilledError):
            train(network(), digits, recipe, seed=3, checkpoint=path, pause=killed_at(step))
        stops += path.exists()
    resumed = network()
    result = train(resumed, digits, recipe, seed=3, checkpoint=path)
    assert stops == 3
    assert same_weights(resumed, undisturbed)
    assert result.history == expected.history
    assert result.validation_accuracy == expected.validation_accuracy


def test_a_finished_training_is_not_run_again(digits, network, tmp_path):
    path = tmp_path / "one.safetensors"
    first, second = network(), network()
    expected = train(first, digits, replace(RECIPE, epochs=1), seed=0, checkpoint=path)
    steps = []
    result = train(
        second, digits, replace(RECIPE, epochs=1), seed=0, checkpoint=path, on_epoch=lambda *e: steps.append(e)
    )
    assert steps == []
    assert same_weights(first, second)
    assert result.history == expected.history


@pytest.fixture
def checkpoint(digits, network, tmp_path):
    path = tmp_path / "one.safetensors"
    train(network(), digits, replace(RECIPE, epochs=1), seed=0, checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"seed": 1}, "seed"),
        ({"recipe": replace(RECIPE, epochs=2)}, "recipe"),
        ({"initial": 1}, "network"),
        ({"data": 1}, "data"),
    ],
)
def test_another_trainings_checkpoint_is_refused_and_left_alone(digits, network, checkpoint, changes, differs):
    before = checkpoint.read_bytes()
    data = load_data("digits", seed=changes["data"]) if "data" in changes else digits
    recipe = changes.get("recipe", replace(RECIPE, epochs=1))
    module = network(seed=changes.get("initial", 0))
    with pytest.raises(InputError, match=rf"another training \({differs} differs\)"):
        train(module, data, recipe, seed=changes.get("seed", 0), checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_a_file_that_is_no_checkpoint_is_refused(digits, network, tmp_path, checkpoint):
    torn, weights = tmp_path / "torn.safetensors", tmp_path / "weights.safetensors"
    torn.write_bytes(checkpoint.read_bytes()[:-1])
    save_file(load_file(checkpoint), weights)
    for path in (torn, weights):
        with pytest.raises(InputError, match="is not a checkpoint of a training"):
            train(network(), digits, replace(RECIPE, epochs=1), seed=0, checkpoint=path)


def test_a_checkpoint_with_other_tensors_is_refused_and_nothing_is_touched(tmp_path):
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    path, before = tmp_path / "one.safetensors", module.weight.detach().clone()
    write_checkpoint(path, {"module": module}, optimizer, {"what": {"seed": 0}})
    good = path.read_bytes()
    for old, new, reason in (
        (b"module.bias", b"module.b-as", "module has other tensors"),
        (b"optimizer.1.", b"optimizer.7.", "the optimizer has other parameters"),
        (b"optimizer.1.", b"optimizer.x.", "the optimizer has other parameters"),
    ):
        assert old in good
        path.write_bytes(good.replace(old, new))
        with pytest.raises(InputError, match=rf"is not a checkpoint of a training \({reason}"):
            read_checkpoint(path, {"module": module}, optimizer, {"seed": 0})
    assert torch.equal(module.weight, before)


def test_a_checkpoint_that_cannot_be_written_is_one_error(digits, network, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        train(network(), digits, replace(RECIPE, epochs=1), seed=0, checkpoint=tmp_path / "file" / "one.safetensors")


def test_the_checkpoint_holds_weights_average_and_optimizer(network, checkpoint):
    tensors = load_file(checkpoint)
    names = set(network().state_dict())
    assert {name.removeprefix("module.") for name in tensors if name.startswith("module.")} == names
    averaged = {name.removeprefix("averaged.") for name in tensors if name.startswith("averaged.")}
    assert averaged == {f"module.{name}" for name in names} | {"n_averaged"}
    assert sum(name.startswith("optimizer.") for name in tensors) == len(list(network().parameters()))
    assert not any(path.name.startswith(".") for path in checkpoint.parent.iterdir())

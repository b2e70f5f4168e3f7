"""Foreign state dicts that fit, and those that do not."""

import pickle

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.numpy import save_file

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.pretrained import LAYOUTS, pretrained
from mobilenas.pretrained.layouts.layout import Place
from mobilenas.pretrained.matching import matched

NAME, TIMM = "mobilenet_v3_small", "mobilenetv3_small_100"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return torchvision.models.mobilenet_v3_small().state_dict()


def arrays(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in state.items()}


def test_places_by_hand(state) -> None:
    places = LAYOUTS["torchvision"].places(models.get(NAME), state)
    assert places["stem.conv"] == Place(("features.0.0",), "features.0.1")
    # the first block of the paper's table: no expansion, squeeze-and-excitation; the fifth has both
    assert places["stages.0.0.depthwise"] == Place(("features.1.block.0.0",), "features.1.block.0.1")
    assert places["stages.0.0.se.reduce"] == Place(("features.1.block.1.fc1",))
    assert places["stages.2.1.project"] == Place(("features.5.block.3.0",), "features.5.block.3.1")
    assert places["head.conv"] == Place(("features.12.0",), "features.12.1")
    assert places["head.expand"] == Place(("classifier.0",))
    assert places["head.classifier"] == Place(("classifier.3",))
    assert set(places) == {node.weight_name for node in models.get(NAME).graph().weighted_nodes()}


def test_blocks_are_in_the_order_of_their_numbers() -> None:
    """Stage 10 comes after stage 9, not after stage 1."""
    state = torchvision.models.mobilenet_v2().state_dict()
    places = LAYOUTS["torchvision"].places(models.get("mobilenet_v2"), state)
    assert places["stages.3.3.expand"].parts == ("features.10.conv.0.0",)
    assert places["stages.6.0.expand"].parts == ("features.17.conv.0.0",)


def test_groups_that_stand_apart_are_joined_and_one_norm_over_several_kernels_is_cut() -> None:
    state = arrays(timm.create_model("mixnet_s").state_dict())
    arch = models.get("mixnet_s")
    state["blocks.2.0.bn2.bias"] = np.arange(144, dtype=np.float32)
    weights = matched(arch, LAYOUTS["timm"], state, source="mixnet")
    # three kernel sizes on 144 channels: 48 each
    for i, first in enumerate((0, 48, 96)):
        bias = weights[f"stages.2.0.depthwise_{i}.batch_norm.bias"]
        np.testing.assert_array_equal(bias, np.arange(first, first + 48))
    halves = [state[f"blocks.1.0.conv_pw.{i}.weight"] for i in (0, 1)]
    np.testing.assert_array_equal(weights["stages.1.0.expand.weight"], np.concatenate(halves))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("features.3.block.0.0.weight"),
            r"features.3.block.0.0.weight \(our stages.1.1.* is missing",
        ),
        (lambda s: s.pop("classifier.3.bias"), r"classifier.3.bias \(our head.classifier.bias\) is missing"),
        (lambda s: s.update(surplus=s["classifier.3.bias"]), "surplus is not in the network"),
        (
            lambda s: s.update({"features.0.0.weight": s["features.0.0.weight"][:8]}),
            r"features.0.0.weight .*has shape \(8, 3, 3, 3\), the network \(16, 3, 3, 3\)",
        ),
        (
            lambda s: s.update({"features.0.1.running_var": -s["features.0.1.running_var"]}),
            "running_var .*holds values below 0",
        ),
        (lambda s: s.update({"features.0.1.bias": s["features.0.1.bias"] * np.nan}), "not finite"),
    ],
)
def test_what_does_not_fit_names_the_tensors(state, change, message) -> None:
    found = arrays(state)
    change(found)
    with pytest.raises(InputError, match=message):
        matched(models.get(NAME), LAYOUTS["torchvision"], found, source="a file")


def test_another_network_of_the_library_is_refused_in_one_line(state) -> None:
    with pytest.raises(InputError, match=r"^a file does not fit the network: .*; .*; .* and \d+ more$"):
        matched(models.get("mobilenet_v3_large"), LAYOUTS["torchvision"], arrays(state), source="a file")


def test_a_classifier_for_other_classes_is_left_out_only_when_asked(state) -> None:
    arch = models.get(NAME, num_classes=10)
    with pytest.raises(InputError, match=r"classifier.3.weight .*\(1000, 1024\), the network \(10, 1024\)"):
        matched(arch, LAYOUTS["torchvision"], arrays(state), source="a file")
    weights = matched(arch, LAYOUTS["torchvision"], arrays(state), source="a file", any_classes=True)
    missing = set(arch.graph().state_shapes()) - set(weights)
    assert missing == {"head.classifier.weight", "head.classifier.bias"}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_in_a_librarys_names(state, suffix, tmp_path) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    else:
        save_file(arrays(state), path)
    notes: list[str] = []
    arch, weights = pretrained(models.get(NAME), str(path), note=notes.append)
    assert (arch.padding, arch.bn_epsilon) == ("symmetric", 1e-3)
    assert notes == [f"{path.name} is read as torchvision's mobilenet_v3_small: symmetric padding"]
    assert {name: value.shape for name, value in weights.items()} == arch.graph().state_shapes()


def test_a_file_that_may_be_one_of_several_networks_must_be_named(tmp_path) -> None:
    """timm has the same tensors with TF's padding and with torch's."""
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(timm.create_model("mobilenetv3_small_100").state_dict(), path)
    with pytest.raises(InputError, match="which its tensors do not tell") as caught:
        pretrained(models.get(NAME), str(path))
    _, instead = str(caught.value).split("\n")
    assert instead == f"give --weights timm:tf_{TIMM}={path} or timm:{TIMM}={path}"
    for name, padding, epsilon in ((TIMM, "symmetric", 1e-5), (f"tf_{TIMM}", "same", 1e-3)):
        arch, weights = pretrained(models.get(NAME), f"timm:{name}={path}")
        assert (arch.padding, arch.bn_epsilon) == (padding, epsilon)
        assert set(weights) == set(arch.graph().state_shapes())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("mobilenet_v4_conv_medium", "mobilenetv4_conv_aa_medium"),
        ("mobilenet_v4_conv_medium", "mobilenetv4_conv_blur_medium"),
        ("mobilenet_v4_conv_large", "mobilenetv4_conv_aa_large"),
        ("efficientnet_b0", "efficientnet_blur_b0"),
    ],
)
def test_another_network_with_our_tensors_is_not_read_as_ours(ours, theirs, tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(arrays(timm.create_model(theirs).state_dict()), path)
    with pytest.raises(InputError, match=rf"{theirs} \((averages|blurs) where ours has strides\)") as caught:
        pretrained(models.get(ours), str(path))
    named = str(caught.value).split("\n")[1].removeprefix("give --weights ").split(" or ")
    assert f"timm:{theirs}={path}" not in named
    for choice in named:
        assert set(pretrained(models.get(ours), choice)[1]) == set(models.get(ours).graph().state_shapes())
    for source in (f"timm:{theirs}", f"timm:{theirs}={path}"):
        with pytest.raises(InputError, match=rf"is another network: it .*\n.*timm\.models:{theirs}$"):
            pretrained(models.get(ours), source)


@pytest.mark.parametrize("source", ["{}", "timm:mobilenetv1_100={}"])
def test_a_network_of_no_family_of_the_library_is_refused(source, tmp_path) -> None:
    """Whoever built it with the library's blocks may have chosen any padding."""
    path = tmp_path / "weights.safetensors"
    save_file(arrays(timm.create_model("mobilenetv1_100").state_dict()), path)
    with pytest.raises(InputError, match=r"timm has no proxylessnas_cpu: .*\ngive an architecture file"):
        pretrained(models.get("proxylessnas_cpu"), source.format(path))


def test_a_file_with_nobodys_names_is_said_to_have_them(tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({f"backbone.{name}": np.zeros(3, np.float32) for name in "edcba"}, path)
    with pytest.raises(InputError) as caught:
        pretrained(models.get(NAME), str(path))
    names = ", ".join(LAYOUTS[key].title for key in LAYOUTS)
    assert str(caught.value) == (
        f"{path} has neither our names nor those of {names}; "
        "its tensors are backbone.a, backbone.b, backbone.c and 2 more"
    )


def test_a_named_file_that_does_not_fit_is_called_by_its_name(state, tmp_path) -> None:
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth does not fit the network: .*conv_stem"):
        pretrained(models.get(NAME), f"timm:{TIMM}={tmp_path / 'weights.pth'}")


@pytest.mark.parametrize("safe", [False, True])
def test_a_file_without_ending_is_read_as_what_it_is(state, safe, tmp_path) -> None:
    path = tmp_path / "init"
    if safe:
        save_file(arrays(state), path)
    else:
        torch.save(state, path)
    _, weights = pretrained(models.get(NAME), str(path))
    np.testing.assert_array_equal(weights["stem.conv.weight"], state["features.0.0.weight"])


def test_bfloat16_files_of_either_kind(state, tmp_path) -> None:
    from safetensors.torch import save_file

    half = {name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_file(half, tmp_path / "weights.safetensors")
    torch.save(half, tmp_path / "weights.pth")
    (_, one), (_, two) = (pretrained(models.get(NAME), str(tmp_path / f"weights{s}")) for s in (".safetensors", ".pth"))
    assert all(np.array_equal(one[name], two[name]) for name in (*one, *two))
    assert np.array_equal(one["stem.conv.weight"], half["features.0.0.weight"].float().numpy())


def test_no_tensor_is_named_that_is_not_missing(state) -> None:
    """A block of which one name is missing is not read as a block of another form."""
    found = arrays(state)
    del found["features.3.block.0.0.weight"]
    with pytest.raises(
        InputError, match=r"^it does not fit the network: features.3.block.0.0.weight \(our .* missing$"
    ):
        matched(models.get(NAME), LAYOUTS["torchvision"], found, source="it")


def test_a_file_of_ours_in_torchs_format(tmp_path) -> None:
    arch = models.get(NAME)
    torch.save({name: torch.ones(shape) for name, shape in arch.graph().state_shapes().items()}, tmp_path / "own.pt")
    found, weights = pretrained(arch, str(tmp_path / "own.pt"))
    assert found is arch
    assert set(weights) == set(arch.graph().state_shapes())


def test_an_architecture_that_is_not_the_published_one_keeps_its_padding(state, tmp_path) -> None:
    from dataclasses import replace

    torch.save(state, tmp_path / "weights.pth")
    own = replace(models.get(NAME), bn_epsilon=1e-4)
    arch, _ = pretrained(own, str(tmp_path / "weights.pth"))
    assert arch == own


class Evil:
    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize("content", [Evil(), [1, 2], {"a": 1}, {}])
def test_nothing_but_a_state_dict_is_loaded(content, tmp_path, capsys) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="state dict"):
        pretrained(models.get(NAME), str(tmp_path / "weights.pth"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvison", "unknown source of weights 'torchvison'; did you mean: torchvision"),
        ("weights.txt", "unknown source of weights"),
        ("missing.pth", "cannot read weights missing.pth: No such file"),
        ("timm:mobilenetv3_smal", "did you mean: .*mobilenetv3_small_100"),
        ("once_for_all", "Once-for-All has no weights for mobilenet_v3_small"),
        (f"timm:{TIMM}=", rf"^timm:{TIMM}= is not accepted; give --weights timm:NETWORK=FILE"),
        ("timm:=weights.pth", "^timm:=weights.pth is not accepted; give --weights timm:NETWORK=FILE"),
    ],
)
def test_unknown_sources(source, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        pretrained(models.get(NAME), source)


@pytest.mark.parametrize("content", [b"no weights", b""])
def test_a_damaged_file(content, tmp_path) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read weights .*: it is (damaged|no whole file that torch saved)"):
        pretrained(models.get(NAME), str(tmp_path / "weights.pth"))


def test_sparse_tensors_are_no_weights(state, tmp_path) -> None:
    torch.save({name: tensor.to_sparse() for name, tensor in state.items()}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        pretrained(models.get(NAME), str(tmp_path / "weights.pth"))


def test_a_pickle_that_carries_code_is_not_run(tmp_path, capsys) -> None:
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="holds more than tensors, which may be code and is not run"):
        pretrained(models.get(NAME), str(tmp_path / "weights.pth"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("library", "module"), [("torchvision", "torchvision.models"), ("timm", "timm")])
def test_a_download_that_fails_is_one_line(library, module, monkeypatch) -> None:
    import importlib

    def fail(*args: object, **settings: object) -> None:
        raise OSError("no network")

    function = "get_model" if library == "torchvision" else "create_model"
    monkeypatch.setattr(importlib.import_module(module), function, fail)
    with pytest.raises(InputError, match=rf"cannot download {library}'s .*: no network; give a file: --weights FILE"):
        pretrained(models.get(NAME), library)


@pytest.mark.parametrize(("library", "module"), [("torchvision", "torchvision.models"), ("timm", "timm")])
def test_what_a_download_prints_is_no_part_of_the_answer(library, module, monkeypatch, capsys) -> None:
    import importlib

    original = LAYOUTS[library].originals[NAME][0].name
    made = getattr(importlib.import_module(module), "create_model" if library == "timm" else original)
    network = made(original) if library == "timm" else made()

    def download(*arguments: object, **settings: object) -> torch.nn.Module:
        print("Downloading")
        return network

    monkeypatch.setattr(
        importlib.import_module(module), "get_model" if library == "torchvision" else "create_model", download
    )
    pretrained(models.get(NAME), library)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Downloading\n")

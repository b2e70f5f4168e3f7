import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import JSON_VALUES

from mobilenas import models
from mobilenas.arch import MAX_BLOCKS, Arch
from mobilenas.blocks import BLOCKS, HEADS
from mobilenas.errors import FieldError, InputError, shorten

FILE = {
    "name": "mine",
    "resolution": 32,
    "num_classes": 10,
    "padding": "same",
    "stem": {"type": "conv_bn_act", "out_channels": 8, "kernel_size": 3, "stride": 2, "activation": "relu"},
    "stages": [
        [{"type": "mbconv", "out_channels": 8, "kernel_size": 3, "stride": 1, "expanded_channels": 16}],
        [
            {"type": "depthwise_separable", "out_channels": 12, "kernel_size": 3, "stride": 2, "activation": "relu"},
            {"type": "mbconv", "out_channels": 12, "expanded_channels": 6, "se_channels": 2, "se_gate": "hard_sigmoid"},
        ],
    ],
    "head": {"type": "conv_pool_linear", "out_channels": 32, "activation": "relu"},
}
LEAST = {
    "conv_bn_act": {"out_channels": 8},
    "depthwise_separable": {"out_channels": 8},
    "fused_mbconv": {"out_channels": 8},
    "mbconv": {"out_channels": 8},
    "mixed_mbconv": {"out_channels": 8},
    "squeeze_excite": {"se_channels": 2},
    "universal_inverted_bottleneck": {"out_channels": 8, "expanded_channels": 16},
    "conv_pool_linear": {},
    "pool_conv_linear": {"expanded_channels": 16},
    "pool_linear": {},
}
LISTS = ("kernel_sizes",)
"""Settings that are lists: the item that is wrong is named."""


def changed(path, value):
    """The file with one place changed; `path` is keys and indices."""
    document = copy.deepcopy(FILE)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def one_line(error):
    text = str(error)
    assert "\n" not in text
    assert len(text) < 400
    return text


def test_counts_by_hand():
    arch = Arch.from_dict({**FILE, "stages": FILE["stages"][:1]})
    graph = arch.graph()
    # stem 216 + 16, expansion 128 + 32, depthwise 144 + 32, projection 128 + 16, head 256 + 64, classifier 320 + 10
    assert graph.params == 1362
    assert graph.macs == 256 * (216 + 128 + 144 + 128 + 256) + 320
    assert [node.name for node in graph.nodes] == [
        "stem.conv",
        "stages.0.0.expand",
        "stages.0.0.depthwise",
        "stages.0.0.project",
        "stages.0.0.add",
        "head.conv",
        "head.pool",
        "head.classifier",
    ]
    assert [span.name for span in graph.spans] == ["stem", "stages.0.0", "head"]


def test_the_graph_is_built_once():
    arch = Arch.from_dict(FILE)
    assert arch.graph() is arch.graph()


def test_round_trip():
    arch = Arch.from_dict(FILE)
    again = Arch.from_dict(json.loads(json.dumps(arch.to_dict())))
    assert again == arch
    assert again.graph() == arch.graph()
    assert hash(again) == hash(arch)


def test_defaults():
    arch = Arch.from_dict({key: FILE[key] for key in ("resolution", "num_classes", "stem", "stages", "head")})
    assert (arch.padding, arch.bn_epsilon) == ("same", 1e-3)


def test_saved_and_loaded(tmp_path):
    arch = Arch.from_dict(FILE)
    arch.save(tmp_path / "folder" / "net.json")
    assert Arch.load(tmp_path / "folder" / "net.json") == arch


def test_a_file_without_a_name_is_called_after_itself(tmp_path):
    path = tmp_path / "slim.json"
    path.write_text(json.dumps({key: value for key, value in FILE.items() if key != "name"}))
    assert Arch.load(path).name == "slim"


def test_canonical_is_what_is_computed():
    arch = Arch.from_dict(FILE)
    assert Arch.from_dict({**FILE, "name": "other"}).canonical == arch.canonical
    explicit = changed(("stages", 0, 0, "se_channels"), 0)
    assert Arch.from_dict(explicit).canonical == arch.canonical
    for path, value in [
        (("resolution",), 64),
        (("num_classes",), 11),
        (("padding",), "symmetric"),
        (("bn_epsilon",), 1e-5),
        (("stages", 0, 0, "residual"), False),
        (("stages", 1, 1, "se_gate"), "sigmoid"),
        (("head", "dropout"), 0.2),
    ]:
        assert Arch.from_dict(changed(path, value)).canonical != arch.canonical, path


def test_resized():
    arch = Arch.from_dict(FILE)
    arch.graph()
    larger = arch.resized(resolution=64)
    assert (larger.resolution, larger.num_classes) == (64, 10)
    assert larger.graph().input_shapes == ((64, 64, 3),)
    assert arch.resized(num_classes=3).graph().value_shapes[-1] == (1, 1, 3)
    assert arch.resized() == arch
    with pytest.raises(FieldError, match="resolution: 0 is not accepted"):
        arch.resized(resolution=0)


@pytest.mark.parametrize("size", [8, 33, 128, 288])
@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_strangers_sizes(size, padding):
    arch = Arch.from_dict({**FILE, "resolution": size, "num_classes": 1, "padding": padding})
    assert arch.graph().value_shapes[-1] == (1, 1, 1)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("resolution",), 7, "resolution: 7 is not accepted; give a whole number from 8 to 4096"),
        (("resolution",), 4097, "resolution: 4097"),
        (("resolution",), 224.0, "resolution: 224.0 is not accepted; give a whole number"),
        (("resolution",), True, "resolution: True"),
        (("resolution",), "224", "resolution: '224'"),
        (("resolution",), None, "resolution: None"),
        (("resolution",), 10**5000, "resolution: a value of type int, too large to print"),
        (("num_classes",), 0, "num_classes: 0"),
        (("num_classes",), False, "num_classes: False"),
        (("num_classes",), 10**6, "num_classes: 1000000"),
        (("padding",), "valid", "padding: 'valid' is not accepted; give 'same' or 'symmetric'"),
        (("padding",), ["same"], "padding: ['same']"),
        (("bn_epsilon",), 0, "bn_epsilon: 0.0"),
        (("bn_epsilon",), float("nan"), "bn_epsilon: nan"),
        (("bn_epsilon",), float("inf"), "bn_epsilon: inf"),
        (("bn_epsilon",), 10**400, "bn_epsilon: 1000"),
        (("bn_epsilon",), "1e-3", "bn_epsilon: '1e-3' is not accepted; give a number"),
        (("name",), 5, "name: 5 is not accepted; give a text"),
        (("name",), "", "name: ''"),
        (("name",), "two\nlines", r"name: 'two\nlines'"),
        (("name",), "\ud800", r"name: '\ud800'"),
        (("surprise",), 1, "the file: unknown field 'surprise'; accepted: stem, stages, head"),
        (("stem",), None, "stem: None is not accepted; give an object with a 'type'"),
        (("stem",), [FILE["stem"]], "stem: [{"),
        (("stem", "type"), "conv", "stem.type: 'conv' is not accepted; give conv_bn_act or depthwise_separable"),
        (("stem", "type"), 3, "stem.type: 3"),
        (("stem", "type"), "block", "stem.type: 'block'"),
        (("stem", "type"), "_skip", "stem.type: '_skip'"),
        (("stem", "type"), "conv_pool_linear", "stem.type: 'conv_pool_linear'"),
        (("stem", "surprise"), 1, "stem: unknown field 'surprise'; accepted: out_channels"),
        (("stem", "kernel_size"), 4, "stem.kernel_size: 4 is not accepted; give an odd number"),
        (("stem", "kernel_size"), 10**300 + 1, "stem.kernel_size: 1000"),
        (("stem", "stride"), 3, "stem.stride: 3 is not accepted; give 1 or 2"),
        (("stem", "activation"), "mish", "stem.activation: 'mish' is not accepted; give 'none' or 'relu'"),
        (("stages",), {}, "stages: {} is not accepted; give a list of stages"),
        (("stages",), [{}], "stages: [{}]"),
        (("stages", 1), None, "stages: ["),
        (("stages", 1, 0), "mbconv", "stages[1][0]: 'mbconv' is not accepted; give an object"),
        (
            ("stages", 1, 1, "out_channels"),
            0,
            "stages[1][1].out_channels: 0 is not accepted; give a whole number from 1",
        ),
        (("stages", 1, 1, "out_channels"), 65537, "stages[1][1].out_channels: 65537"),
        (("stages", 1, 1, "expanded_channels"), -1, "stages[1][1].expanded_channels: -1"),
        (("stages", 1, 1, "se_gate"), "relu", "stages[1][1].se_gate: 'relu' is not accepted; give 'sigmoid' or"),
        (("stages", 1, 1, "residual"), 1, "stages[1][1].residual: 1 is not accepted; give true or false or 'pool'"),
        (("head", "type"), "mbconv", "head.type: 'mbconv' is not accepted; give conv_pool_linear or pool_conv_linear"),
        (("head", "dropout"), 1, "head.dropout: 1.0"),
        (("head", "dropout"), -0.1, "head.dropout: -0.1"),
        (("head", "out_channels"), [], "head.out_channels: []"),
    ],
    ids=shorten,
)
def test_errors_name_the_field_the_value_and_what_is_accepted(path, value, text):
    with pytest.raises(InputError) as caught:
        Arch.from_dict(changed(path, value))
    assert one_line(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("stem",), "the file: field 'stem' is missing"),
        (("stages",), "the file: field 'stages' is missing"),
        (("head",), "the file: field 'head' is missing"),
        (("stem", "type"), "stem: field 'type' is missing; give one of conv_bn_act"),
        (("stem", "out_channels"), "stem: field 'out_channels' is missing"),
        (("stages", 1, 0, "type"), "stages[1][0]: field 'type' is missing"),
        (("stages", 1, 0, "out_channels"), "stages[1][0]: field 'out_channels' is missing"),
    ],
)
def test_missing_fields_are_named(path, text):
    document = copy.deepcopy(FILE)
    place = document
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    with pytest.raises(InputError) as caught:
        Arch.from_dict(document)
    assert one_line(caught.value).startswith(text)


def parts():
    for registry, path, place in ((BLOCKS, ("stages", 0, 0), "stages[0][0]"), (HEADS, ("head",), "head")):
        for name in registry:
            for field in registry[name].__dataclass_fields__:
                yield pytest.param(name, field, path, place, id=f"{name}.{field}")


@pytest.mark.parametrize(("name", "field", "path", "place"), list(parts()))
@pytest.mark.parametrize("value", [None, {}, [[]], float("nan"), "nonsense", -1, 10**5000], ids=shorten)
def test_every_setting_of_every_part_refuses_nonsense_by_name(name, field, path, place, value):
    with pytest.raises(FieldError) as caught:
        Arch.from_dict(changed(path, {"type": name, **LEAST[name], field: value}))
    named = f"{field}[0]" if field in LISTS and value == [[]] else field
    assert one_line(caught.value).startswith(f"{place}.{named}: ")
    assert (caught.value.field, caught.value.where) == (named, place)


@given(JSON_VALUES)
def test_nonsense_is_no_architecture(data):
    with pytest.raises(InputError) as caught:
        Arch.from_dict(data)
    one_line(caught.value)


@given(st.data())
def test_a_broken_place_is_refused_or_is_an_architecture(data):
    document = copy.deepcopy(FILE)
    place = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(JSON_VALUES | st.integers(-2, 70) | st.sampled_from(["relu", "mbconv", "same"]))
    try:
        arch = Arch.from_dict(document)
    except InputError as error:
        one_line(error)
        return
    assert Arch.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch


def test_too_deep_to_print_is_still_one_line():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for document in (deep, changed(("stem",), deep), changed(("stem", "stride"), deep), changed(("stages",), [deep])):
        with pytest.raises(InputError) as caught:
            Arch.from_dict(document)
        one_line(caught.value)
    while deep:  # freed level by level: what frees such a list at once may overflow the C stack
        deep = deep.pop()


def test_too_many_blocks_are_refused_before_they_are_read():
    block = FILE["stages"][0][0]
    assert Arch.from_dict({**FILE, "stages": [[block] * 3, []]}).stages[1] == ()
    for stages in ([[block] * (MAX_BLOCKS + 1)], [[{}]] * (MAX_BLOCKS + 1), [[]] * (MAX_BLOCKS + 1)):
        with pytest.raises(InputError, match=f"stages: .*, {MAX_BLOCKS} at most"):
            Arch.from_dict({**FILE, "stages": stages})


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = tmp_path / "net.json"
    text = json.dumps(FILE)
    for end in range(len(text)):
        path.write_text(text[:end])
        with pytest.raises(InputError, match="not valid JSON") as caught:
            Arch.load(path)
        assert one_line(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "the file: [] is not accepted; give an object"),
        ("null", "the file: None is not accepted"),
        ('{"bn_epsilon": NaN}', "NaN is not accepted; give a finite number"),
        ('{"bn_epsilon": -Infinity}', "-Infinity is not accepted"),
        (json.dumps(FILE).replace("32", "9" * 5000, 1), "too many digits"),
        (json.dumps(FILE)[:-1] + ', "bn_epsilon": 1e999}', "the field 'bn_epsilon': Infinity is not accepted"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Arch.load(path)
    assert one_line(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_file_that_is_absent_a_folder_or_no_text(tmp_path):
    with pytest.raises(InputError, match=r"cannot read architecture file .*none\.json"):
        Arch.load(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot read architecture file"):
        Arch.load(tmp_path)
    (tmp_path / "net.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        Arch.load(tmp_path / "net.json")


@pytest.mark.parametrize("field", ["resolution", "num_classes"])
def test_what_every_network_says_of_itself_must_be_there(field):
    document = models.get("mobilenet_v2").to_dict()
    del document[field]
    with pytest.raises(InputError, match=f"{field}: is missing"):
        Arch.from_dict(document)


def test_a_field_that_stands_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.json"
    path.write_text('{"resolution": 224, ' + json.dumps(models.get("mobilenet_v2").to_dict())[1:])
    with pytest.raises(InputError, match="'resolution' stands there twice"):
        Arch.load(path)

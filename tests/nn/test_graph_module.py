import copy
import io
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published_names import published_names
from strategies import graphs

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.graph import GraphBuilder, OpGraph, OpKind, OpNode, OpSpec
from mobilenas.nn import GraphModule, initialize


def images_for(graph: OpGraph, batch: int = 2, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, c, h, w, generator=generator) for h, w, c in graph.input_shapes]


def every_value(module: GraphModule, graph: OpGraph, images: list[torch.Tensor]) -> list[torch.Tensor]:
    found = module(*images)
    return [found] if isinstance(found, torch.Tensor) else list(found)


def shared(*nodes: OpNode, shape=(8, 8, 3)) -> OpGraph:
    return OpGraph((shape,), nodes, tuple(range(1, len(nodes) + 1)))


@settings(max_examples=60)
@given(graph=graphs(), batch=st.integers(1, 3))
def test_outputs_have_the_shapes_that_the_graph_says(graph: OpGraph, batch: int) -> None:
    module = GraphModule(graph).eval()
    with torch.no_grad():
        found = every_value(module, graph, images_for(graph, batch))
    assert len(found) == len(graph.outputs)
    for value, index in zip(found, graph.outputs, strict=True):
        height, width, channels = graph.value_shapes[index]
        flat = (height, width) == (1, 1)
        assert tuple(value.shape) == ((batch, channels) if flat else (batch, channels, height, width))


@settings(max_examples=40)
@given(graph=graphs())
def test_layout_in_memory_and_batch_change_nothing(graph: OpGraph) -> None:
    module = GraphModule(graph).eval().double()
    images = [x.double() for x in images_for(graph, batch=3)]
    with torch.no_grad():
        whole = every_value(module, graph, images)
        single = every_value(module, graph, [x[1:2] for x in images])
        module.to(memory_format=torch.channels_last)
        last = every_value(module, graph, [x.contiguous(memory_format=torch.channels_last) for x in images])
    for a, b, c in zip(whole, single, last, strict=True):
        torch.testing.assert_close(a[1:2], b, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(a, c, rtol=1e-9, atol=1e-9)


@settings(max_examples=60)
@given(graph=graphs())
def test_state_dict_is_what_the_graph_says(graph: OpGraph) -> None:
    module = GraphModule(graph)
    state = {k: tuple(v.shape) for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert state == graph.state_shapes()
    assert sum(p.numel() for p in module.parameters()) == graph.params


@pytest.mark.parametrize("name", published_names())
def test_parameters_of_published_networks(name: str) -> None:
    module = GraphModule(models.get(name).graph())
    assert sum(p.numel() for p in module.parameters()) == models.published(name).params


def test_names_are_readable() -> None:
    names = set(GraphModule(models.get("mobilenet_v3_small").graph()).state_dict())
    assert {
        "stem.conv.weight",
        "stages.0.0.depthwise.weight",
        "stages.0.0.depthwise.batch_norm.running_var",
        "stages.0.0.se.reduce.bias",
        "head.classifier.bias",
    } <= names


def test_several_inputs_and_an_image_as_output() -> None:
    builder = GraphBuilder((4, 4, 2), (1, 1, 2))
    image, gate = builder.inputs
    graph = builder.finish(builder.mul(image, gate, name="scale"), builder.mean(image, name="mean"))
    a, b = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 1, 1)
    scaled, mean = GraphModule(graph)(a, b)
    torch.testing.assert_close(scaled, a * b)
    torch.testing.assert_close(mean, a.mean((2, 3)))


def test_a_value_may_be_read_twice_and_by_many() -> None:
    builder = GraphBuilder((2, 2, 1))
    (x,) = builder.inputs
    twice = builder.add(x, x, name="twice")
    act = builder.activation(twice, "relu", name="act")
    graph = builder.finish(builder.add(builder.add(twice, act, name="sum"), x, name="end"))
    image = torch.tensor([[[[-1.0, 1.0], [2.0, -3.0]]]])
    torch.testing.assert_close(GraphModule(graph)(image), 3 * image + (2 * image).relu())


def test_an_input_and_a_value_that_is_read_on_may_be_outputs() -> None:
    builder = GraphBuilder((2, 2, 1))
    (x,) = builder.inputs
    first = builder.add(x, x, name="first")
    graph = builder.finish(x, first, builder.add(first, first, name="second"))
    image = torch.randn(1, 1, 2, 2)
    found = GraphModule(graph)(image)
    assert [torch.equal(value, image * n) for value, n in zip(found, (1, 2, 4), strict=True)] == [True] * 3


@pytest.mark.parametrize("shapes", [[], [(1, 3, 33, 32)], [(1, 4, 32, 32)], [(1, 3, 32, 32)] * 2, [(3, 32, 32)]])
def test_images_of_another_size_are_refused(shapes) -> None:
    module = GraphModule(models.get("mobilenet_v3_small", resolution=32).graph())
    with pytest.raises(InputError, match=r"give \(N, \*\(3, 32, 32\)\)"):
        module(*(torch.zeros(shape) for shape in shapes))


def test_dropout_only_while_training() -> None:
    builder = GraphBuilder((1, 1, 1000))
    graph = builder.finish(builder.fully_connected(builder.inputs[0], 1, name="fc", dropout=0.25))
    module = GraphModule(graph)
    torch.nn.init.ones_(module.fc.weight)
    ones = torch.ones(1, 1000, 1, 1)
    torch.manual_seed(0)
    trained = {module(ones).item() for _ in range(20)}
    assert len(trained) > 10
    # each draw is 1000 / 0.75 * (share kept): mean 1000, standard deviation 18.3
    assert sum(trained) / len(trained) == pytest.approx(1000, abs=30)
    module.eval()
    assert module(ones).item() == 1000


class TestSharedWeights:
    SPEC = OpSpec(OpKind.CONV2D, ((8, 8, 3),), 4, kernel_size=(3, 3))
    STRIDED = OpSpec(OpKind.CONV2D, ((8, 8, 3),), 4, kernel_size=(3, 3), stride=(2, 2), activation="relu")

    def test_one_parameter_and_each_node_its_own_window(self) -> None:
        graph = shared(OpNode("a", self.SPEC, (0,)), OpNode("b", self.STRIDED, (0,), weight_name="a"))
        module = GraphModule(graph)
        assert [name for name, _ in module.named_parameters()] == ["a.weight"]
        image = torch.randn(1, 3, 8, 8)
        dense, strided = module(image)
        # SAME pads (1, 1) at stride 1 and (0, 1) at stride 2: windows start at 0, 2, .. instead of -1, 0, ..
        torch.testing.assert_close(strided, dense[:, :, 1::2, 1::2].relu())
        (dense.sum() + strided.sum()).backward()
        both = module.a.weight.grad.clone()
        module.zero_grad()
        module(image)[0].sum().backward()
        assert not torch.allclose(both, module.a.weight.grad)

    @pytest.mark.parametrize(
        "other",
        [
            OpNode("b", OpSpec(OpKind.CONV2D, ((8, 8, 3),), 5, kernel_size=(3, 3)), (0,), weight_name="a"),
            OpNode("b", SPEC, (0,), bias=True, weight_name="a"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, other: OpNode) -> None:
        with pytest.raises(InputError, match=r"^b: .* cannot share a with a"):
            GraphModule(shared(OpNode("a", self.SPEC, (0,)), other))


@pytest.mark.parametrize("names", [["graph"], ["train"], ["a.b", "a"], ["a", "a.weight"], ["a..b"], ["a.training"]])
def test_names_that_torch_needs_are_refused_and_never_hide_weights(names: list[str]) -> None:
    nodes = [OpNode(name, TestSharedWeights.SPEC, (0,)) for name in names]
    with pytest.raises(InputError, match="is taken"):
        GraphModule(shared(*nodes))


def test_a_copy_stands_on_its_own() -> None:
    module = GraphModule(models.get("mobilenet_v3_small", resolution=32, num_classes=5).graph()).eval()
    image = torch.randn(1, 3, 32, 32)
    before = module(image)
    twin = copy.deepcopy(module)
    initialize(twin, 1)
    assert torch.equal(module(image), before)
    assert not torch.allclose(twin(image), before)


def test_a_replaced_part_takes_effect() -> None:
    module = GraphModule(models.get("mobilenet_v3_small", resolution=32, num_classes=5).graph()).eval()

    class Constant(torch.nn.Module):
        def forward(self, x, use):
            return torch.full((len(x), 5, 1, 1), 3.0)

    module.head.classifier = Constant()
    assert torch.equal(module(torch.randn(2, 3, 32, 32)), torch.full((2, 5), 3.0))


def test_can_be_sent_to_another_process() -> None:
    module = GraphModule(models.get("mobilenet_v3_small", resolution=32, num_classes=5).graph()).eval()
    image = torch.randn(1, 3, 32, 32)
    there = pickle.load(io.BytesIO(pickle.dumps(module)))
    assert torch.equal(there(image), module(image))


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mnasnet_a1", "efficientnet_b0"])
def test_gradients_reach_every_weight(name: str) -> None:
    module = GraphModule(models.get(name, resolution=64, num_classes=10).graph())
    torch.manual_seed(0)
    loss = torch.nn.functional.cross_entropy(module(torch.randn(4, 3, 64, 64)), torch.tensor([0, 1, 2, 3]))
    loss.backward()
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@settings(max_examples=30)
@given(graph=graphs(max_steps=5))
def test_in_place_activations_do_not_break_gradients(graph: OpGraph) -> None:
    module = GraphModule(graph).eval()
    images = [x.requires_grad_() for x in images_for(graph)]
    total = sum(value.square().sum() for value in every_value(module, graph, images))
    total.backward()  # torch raises if a value that a gradient needs was changed in place
    assert total.requires_grad


def test_weights_that_no_file_holds_are_not_made():
    builder = GraphBuilder((64, 64, 65536))
    graph = builder.finish(builder.conv2d(builder.inputs[0], 65536, name="conv", kernel_size=3))
    with pytest.raises(InputError, match=r"155 GB of float32 weights; a \.tflite file holds at most 2\.1 GB"):
        GraphModule(graph, seed=None)

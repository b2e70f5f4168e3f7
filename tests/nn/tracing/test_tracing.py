"""Torch modules as op graphs: op by op, by hand."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobilenas.errors import InputError
from mobilenas.export import random_weights, write_tflite
from mobilenas.graph import OpGraph, OpKind
from mobilenas.nn import GraphModule, set_weights
from mobilenas.nn.tracing import UnsupportedError, trace
from mobilenas.nn.tracing.rules import RULES
from mobilenas.nn.weights import module_of

SHAPE = (12, 12, 6)


class Of(nn.Module):
    """A function as a module, with layers that it may use."""

    def __init__(self, function, **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def lively(module: nn.Module) -> nn.Module:
    """Random batch norm statistics, so that each of them counts."""
    torch.manual_seed(0)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(child.weight, 0.5, 1.5)
            nn.init.normal_(child.bias)
            nn.init.normal_(child.running_mean)
            nn.init.uniform_(child.running_var, 0.5, 1.5)
    return module.eval()


def same(module: nn.Module, shape=SHAPE) -> OpGraph:
    """Traces a module; its graph must compute what it computes."""
    graph, weights = trace(lively(module), shape)
    assert {name: value.shape for name, value in weights.items()} == graph.state_shapes()
    ours = GraphModule(graph).eval()
    set_weights(ours, weights)
    height, width, channels = shape
    images = 4 * torch.randn(3, channels, height, width)
    with torch.no_grad():
        wanted, found = module(images), ours(images)
    torch.testing.assert_close(found.reshape(wanted.shape), wanted, atol=1e-4, rtol=1e-4)
    assert write_tflite(graph, random_weights(graph))
    return graph


def kinds(graph: OpGraph) -> list[str]:
    return [str(node.spec.kind) for node in graph.nodes]


def conv(*args: int, **settings) -> nn.Conv2d:
    return nn.Conv2d(*args, **settings)


def test_batch_norm_and_relu_become_part_of_the_convolution() -> None:
    graph = same(nn.Sequential(conv(6, 8, 3, padding=1), nn.BatchNorm2d(8, eps=1e-2), nn.ReLU6()))
    (node,) = graph.nodes
    assert (node.spec.kind, node.spec.activation, node.spec.padding) == ("conv2d", "relu6", "same")
    assert (node.name, node.bias, node.batch_norm.epsilon) == ("0", True, 1e-2)
    assert set(graph.state_shapes()) == {
        *("0.weight", "0.bias"),
        *(f"0.batch_norm.{field}" for field in ("weight", "bias", "running_mean", "running_var")),
    }


def test_what_others_read_too_is_left_as_it_is() -> None:
    graph = same(Of(lambda m, x: F.relu(y := m.conv(x)) + y, conv=conv(6, 6, 1)))
    assert kinds(graph) == ["conv2d", "relu", "add"]
    graph = same(Of(lambda m, x: m.norm(y := m.conv(x)) + y, conv=conv(6, 6, 1), norm=nn.BatchNorm2d(6)))
    assert kinds(graph) == ["conv2d", "depthwise_conv2d", "add"]


def test_what_is_changed_in_place_is_what_others_read() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = m.conv(x)
        F.relu(y, inplace=True)
        return y + x

    (first, second) = same(Of(forward, conv=conv(6, 6, 1))).nodes
    assert (first.spec.activation, second.spec.kind) == ("relu", "add")


def halves_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = m.conv(x)
    first, second = y.chunk(2, 1)
    F.relu(first, inplace=True)
    return torch.cat([second, first], 1) + y


def slice_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = m.conv(x)
    y[:, 1:4].relu_()
    return y


def assignment_to_a_slice(m: nn.Module, x: Tensor) -> Tensor:
    y = m.conv(x)
    y[:, -2:] += 1.0
    return y


def flattened_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = m.conv(x)
    F.relu(y.flatten(1), inplace=True)
    return y


def changed_behind_a_view(m: nn.Module, x: Tensor) -> Tensor:
    y = m.conv(x)
    first = y[:, :3]
    y.mul_(2.0)
    return first


def dropped_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = m.conv(x)
    return y + F.relu(F.dropout2d(y, training=False), inplace=True)


def input_in_place(m: nn.Module, x: Tensor) -> Tensor:
    first = x[:, :6]
    x.relu_()
    return first + m.conv(x)


@pytest.mark.parametrize(
    "function",
    [
        halves_in_place,
        slice_in_place,
        assignment_to_a_slice,
        flattened_in_place,
        changed_behind_a_view,
        dropped_in_place,
        input_in_place,
    ],
)
def test_what_is_changed_in_place_under_another_name(function) -> None:
    module = lively(Of(function, conv=conv(6, 6, 1)))
    graph, weights = trace(module, SHAPE)
    images = torch.randn(3, 6, 12, 12)
    with torch.no_grad():
        found, wanted = module_of(graph, weights)(images.clone()), module(images.clone())
    torch.testing.assert_close(found, wanted)


def test_what_differs_from_its_graph_is_refused() -> None:
    """Numbers that Python draws while it is traced."""
    import random

    with pytest.raises(InputError, match="Of computes something else than its graph") as caught:
        trace(Of(lambda m, x: x * random.random()), SHAPE)
    assert len(str(caught.value).split("\n")) == 2


def test_a_batch_norm_that_stands_alone_is_a_depthwise_convolution_of_one_pixel() -> None:
    graph = same(nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), conv(6, 4, 1)))
    first, _ = graph.nodes
    assert (first.spec.kind, first.spec.kernel_size, first.spec.activation) == ("depthwise_conv2d", (1, 1), "relu")
    assert first.batch_norm is not None


@pytest.mark.parametrize(
    ("layer", "kind", "groups"),
    [
        (conv(6, 6, 3, groups=6), "depthwise_conv2d", 1),
        (conv(6, 12, 3, groups=6), "depthwise_conv2d", 1),
        (conv(6, 12, 3, groups=3), "conv2d", 3),
        (conv(6, 4, (1, 5), stride=(2, 1), padding=(0, 2), dilation=(1, 2)), "conv2d", 1),
        (conv(6, 4, 4, padding="same"), "conv2d", 1),
        (conv(6, 4, 3, padding="valid"), "conv2d", 1),
    ],
)
def test_convolutions(layer, kind, groups) -> None:
    (node,) = same(layer).nodes
    assert (node.spec.kind, node.spec.groups) == (kind, groups)


@pytest.mark.parametrize("size", [11, 12, 13])
@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2, 2),
        nn.AvgPool2d(3, 1, 1),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d(2, 2, ceil_mode=True),
        nn.AvgPool2d((2, 3), (3, 2), (1, 0), ceil_mode=True),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveMaxPool2d(1),
    ],
    ids=str,
)
def test_pools(layer, size) -> None:
    same(layer, (size, size, 4))


def test_a_border_is_taken_over() -> None:
    graph = same(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), conv(6, 8, 3, stride=2)))
    assert [(node.spec.kind, node.spec.padding) for node in graph.nodes] == [("conv2d", "same")]
    pool = Of(lambda m, x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2))
    assert kinds(same(pool)) == ["max_pool2d"]
    assert kinds(same(Of(lambda m, x: F.pad(x, (1, 2, 0, 3))))) == ["pad"]


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (F.hardswish, "hard_swish"),
        (F.hardsigmoid, "hard_sigmoid"),
        (torch.sigmoid, "sigmoid"),
        (F.silu, "silu"),
        (F.gelu, "gelu"),
        (F.relu6, "relu6"),
        (lambda x: x.clamp(min=0), "relu"),
        (lambda x: x.clamp(0, 6), "relu6"),
        (lambda x: F.relu6(x + 3.0) / 6.0, "hard_sigmoid"),
        (lambda x: (x + 3).clamp(0, 6) * (1 / 6), "hard_sigmoid"),
    ],
)
def test_activations(function, kind) -> None:
    assert kinds(same(Of(lambda m, x: function(x)))) == [kind]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.relu6(x + 2.0) / 6.0,
        lambda x: F.relu6(x + 3.0),
        lambda x: x * 0.5 - 1,
        lambda x: x - 2 * x,
        lambda x: 1 - x,
        lambda x: torch.rsub(x, 3.0, alpha=2),
        lambda x: torch.arange(6.0)[:, None, None] - x,
        lambda x: (x - torch.arange(6.0)[:, None, None]) / torch.linspace(0.2, 0.3, 6)[:, None, None],
        lambda x: x / torch.tensor(3),
        lambda x: x / 4 + torch.arange(6.0).reshape(1, 6, 1, 1),
        lambda x: torch.arange(6.0)[:, None, None] * x,
        lambda x: x * x.mean((2, 3), keepdim=True),
        lambda x: x + x[:, 2:3],
        lambda x: x.clamp(-1, 1),
        lambda x: F.hardtanh(x, -2.0, 0.5),
        lambda x: F.leaky_relu(x, 0.1),
        lambda x: F.prelu(x, torch.linspace(-0.5, 0.5, 6)),
        lambda x: F.prelu(x, torch.tensor([0.25])),
        lambda x: torch.tanh(x),
        lambda x: F.gelu(x, approximate="tanh"),
    ],
)
def test_sums_and_products(function) -> None:
    same(Of(lambda m, x: function(x)))


def test_squeeze_and_excitation() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = torch.sigmoid(m.two(F.relu(m.one(x.mean((2, 3))))))
        return x * y.view(-1, 6, 1, 1)

    graph = same(Of(forward, one=nn.Linear(6, 2), two=nn.Linear(2, 6)))
    assert kinds(graph) == ["mean", "fully_connected", "fully_connected", "sigmoid", "mul"]


def test_axes_of_size_one_come_and_go() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1)
        return x * m.fc(y)[:, :, None, None]

    assert kinds(same(Of(forward, fc=nn.Linear(6, 6)))) == ["mean", "fully_connected", "mul"]


@pytest.mark.parametrize(
    ("function", "stride"),
    [
        (lambda x: F.interpolate(x, scale_factor=2), (2, 2)),
        (lambda x: F.interpolate(x, size=(12, 36)), (1, 3)),
        (lambda x: F.interpolate(F.interpolate(x, size=(12, 12)), scale_factor=(4.0, 1.0)), (4, 1)),
    ],
)
def test_the_nearest_pixels_of_a_larger_image(function, stride) -> None:
    (node,) = same(Of(lambda m, x: function(x))).nodes
    assert (node.spec.kind, node.spec.stride) == ("upsample", stride)


def test_a_channel_shuffle_is_one_op() -> None:
    def shuffle(x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        return x.view(n, 2, channels // 2, height, width).transpose(1, 2).contiguous().view(n, -1, height, width)

    for module in (Of(lambda m, x: shuffle(x)), Of(lambda m, x: F.channel_shuffle(x, 2)), nn.ChannelShuffle(2)):
        graph = same(module)
        assert [(node.spec.kind, node.spec.groups) for node in graph.nodes] == [("channel_shuffle", 2)]


def test_parts_of_the_channels() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        c, d, e = torch.split(x, [1, 2, 3], 1)
        return torch.cat([b, d, x[:, 4:], a, e, x[:, :2], c], 1)

    graph = same(Of(forward))
    firsts = sorted(node.first_channel for node in graph.nodes if node.spec.kind is OpKind.SLICE)
    assert firsts == [0, 0, 0, 1, 3, 3, 4]


def test_parts_that_nobody_reads_are_not_written() -> None:
    assert kinds(same(Of(lambda m, x: x.chunk(3, 1)[1]))) == ["slice"]


def test_flattened_images_and_dropout() -> None:
    for dropout in (nn.Dropout(0.3), nn.Dropout(0.3, inplace=True)):
        (node,) = same(nn.Sequential(nn.Flatten(), dropout, nn.Linear(6 * 144, 5))).nodes
        assert (node.spec.kind, node.dropout) == ("fully_connected", 0.3)


def test_linear_layers_over_channels_that_come_last() -> None:
    graph = same(Of(lambda m, x: m.fc(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), fc=nn.Linear(6, 4)))
    assert kinds(graph) == ["conv2d"]


def test_weights_that_are_used_twice_are_shared() -> None:
    graph = same(Of(lambda m, x: m.conv(F.relu(m.conv(x))), conv=conv(6, 6, 3, padding=1)))
    assert [node.weight_name for node in graph.nodes] == ["conv", "conv"]
    assert graph.params == 6 * 6 * 9 + 6


def test_weights_that_are_used_with_a_batch_norm_each_are_copied() -> None:
    module = Of(
        lambda m, x: m.two(m.conv(m.one(m.conv(x)))), conv=conv(6, 6, 1), one=nn.BatchNorm2d(6), two=nn.BatchNorm2d(6)
    )
    assert kinds(same(module)) == ["conv2d", "conv2d"]


def test_weights_that_are_computed_are_computed_once() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, weight / weight.std(), self.bias)

    assert kinds(same(Standardised(6, 4, 3))) == ["conv2d"]


def test_the_module_stays_as_it_was() -> None:
    module = nn.Sequential(conv(6, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace(module, SHAPE)
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(
    ("function", "operator", "why"),
    [
        (lambda x: F.mish(x), "aten.mish", "mish"),
        (lambda x: F.interpolate(x, scale_factor=1.5), "aten.upsample_nearest2d", "from 12x12 to 18x18 pixels"),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), "aten.upsample_bilinear2d", "bilinear"),
        (lambda x: F.adaptive_avg_pool2d(x, 5), "aten.adaptive_avg_pool2d", "unequal windows"),
        (lambda x: F.layer_norm(x, (12,)), "aten.layer_norm", "layer_norm"),
        (lambda x: F.conv_transpose2d(x, torch.ones(6, 1, 2, 2)), "aten.conv_transpose2d", "transpose"),
        (lambda x: x.clamp(max=1), "aten.clamp", "between None and 1"),
        (lambda x: x[:, :, ::2], "aten.slice", "steps of 2"),
        (lambda x: x.transpose(2, 3), "aten.transpose", "axes 2 and 3"),
        (lambda x: F.pad(x, (1, 1, 1, 1), value=1.0) + 1, "aten.pad", "a border of 1"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "aten.pad", "reflect"),
        (lambda x: torch.cat([x, x], 2), "aten.cat", "axis 2"),
        (lambda x: x * torch.ones(12), "aten.mul", "no number a channel"),
        (lambda x: x.view(1, 2, 3, 12, 12) + 1, "aten.view", "not shuffled"),
        (lambda x: x / x.sigmoid(), "aten.div", "by what is computed from the image"),
        (lambda x: x / torch.zeros(6, 1, 1), "aten.div", "by zero"),
        (lambda x: 1 / x, "aten.reciprocal", "reciprocal"),
        (lambda x: x.mean(1), "aten.mean", "axes"),
        (lambda x: torch.div(x, 2, rounding_mode="floor"), "aten.div", "rounded by floor"),
        (lambda x: x / 0, "aten.div", "by zero"),
        (lambda x: x.int() * 2.0, "aten.to", "to torch.int32"),
        (lambda x: x.type_as(torch.arange(3)), "aten.type_as", "to torch.int64"),
        (lambda x: F.dropout(x, 0.5), "aten.dropout", "give it training=self.training"),
        (lambda x: F.batch_norm(x, None, None, training=True), "aten.batch_norm", "needs running ones"),
        (lambda x: x + torch.randn(1, 6, 1, 1), "aten.randn", "random numbers"),
        (lambda x: x * torch.rand_like(x), "aten.rand_like", "rand_like"),
        (
            lambda x: F.batch_norm(x.flatten(1), torch.zeros(864), torch.ones(864)),
            "aten.batch_norm",
            "over the values of a flattened image",
        ),
        (lambda x: F.prelu(x.flatten(1), torch.ones(864)), "aten.prelu", "over the values of a flattened image"),
        (lambda x: F.prelu(x.permute(0, 2, 3, 1), torch.ones(12)), "aten.prelu", "over the height"),
    ],
)
def test_what_cannot_be_expressed_is_named_with_its_source_line(function, operator, why) -> None:
    with pytest.raises(UnsupportedError, match=why) as caught:
        trace(Of(lambda m, x: function(x)), SHAPE)
    assert caught.value.operator == operator
    assert "test_tracing.py:" in caught.value.source
    what, instead = str(caught.value).split("\n")
    assert what.startswith(operator)
    assert instead.endswith("mobilenas export --via litert-torch")


def test_the_source_line_is_that_of_the_operator_outside_forward_too() -> None:
    def helper(x: Tensor) -> Tensor:
        x = torch.relu(x)
        return F.mish(x)  # here

    with pytest.raises(UnsupportedError) as caught:
        trace(Of(lambda m, x: helper(x)), SHAPE)
    assert caught.value.source.endswith("return F.mish(x)  # here")


def test_the_source_line_of_a_border_is_not_that_of_its_reader() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = F.pad(m.conv(x), (1, 1, 1, 1), value=2.0)  # here
        return x.mean((2, 3))

    with pytest.raises(UnsupportedError) as caught:
        trace(Of(forward, conv=conv(6, 6, 1)), SHAPE)
    assert caught.value.operator == "aten.pad"
    assert caught.value.source.endswith("# here")


def stopping(m: nn.Module, x: Tensor) -> Tensor:
    sys.exit(0)


def test_a_forward_that_exits_does_not_end_the_command() -> None:
    with pytest.raises(InputError, match=r"^Of\.forward failed: SystemExit: 0 at .*: sys\.exit\(0\)$"):
        trace(Of(stopping), SHAPE)


def test_the_line_of_forward_where_torch_tells_no_more(monkeypatch) -> None:
    export = torch.export.export

    def quick_only(*arguments, strict: bool = False):
        if strict:
            raise RuntimeError("no")
        return export(*arguments)

    monkeypatch.setattr(torch.export, "export", quick_only)
    with pytest.raises(UnsupportedError) as caught:
        trace(Of(lambda m, x: F.mish(x)), SHAPE)
    assert caught.value.source.endswith("return self.function(self, x)")


def test_what_no_rule_foresees_names_the_operator(monkeypatch) -> None:
    def fail(call: object) -> None:
        raise IndexError("out of range")

    monkeypatch.setitem(RULES, "relu", fail)
    with pytest.raises(UnsupportedError, match=r"aten\.relu cannot be expressed .*: IndexError: out of range at "):
        trace(nn.ReLU(), SHAPE)


def choice(m: nn.Module, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def promise(m: nn.Module, x: Tensor) -> Tensor:
    assert x.shape[1] == 7
    return x


@pytest.mark.parametrize(
    ("function", "line"),
    [(choice, r"return x if x\.sum\(\) > 0 else -x"), (promise, r"assert x\.shape\[1\] == 7")],
)
def test_what_torch_cannot_trace_is_one_line(function, line) -> None:
    with pytest.raises(
        InputError, match=rf"torch\.export cannot trace Of: .* at .*test_tracing\.py:\d+: {line}$"
    ) as got:
        trace(Of(function), SHAPE)
    assert "\n" not in str(got.value)

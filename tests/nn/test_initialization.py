import torch
from torch import nn

from mobilenas import models
from mobilenas.graph import GraphBuilder
from mobilenas.nn import GraphModule, initialize, state_arrays


def wide() -> GraphModule:
    """Enough weights of each sort for tight statistics."""
    builder = GraphBuilder((4, 4, 512))
    (x,) = builder.inputs
    x = builder.conv2d(x, 256, name="conv", kernel_size=3, bias=True)
    x = builder.conv2d(x, 512, name="grouped", groups=4)
    x = builder.depthwise_conv2d(x, name="depthwise", kernel_size=5)
    return GraphModule(builder.finish(builder.fully_connected(x, 50, name="fc")))


def test_standard_deviations() -> None:
    module = wide()
    initialize(module, 3)
    expected = {
        "conv": (2 / (256 * 9)) ** 0.5,
        "grouped": (2 / 128) ** 0.5,
        "depthwise": (2 / 25) ** 0.5,
        "fc": 0.01,
    }
    for name, std in expected.items():
        weight = module.get_submodule(name).weight
        # four standard errors of the estimates
        assert abs(weight.mean()) < 4 * std / weight.numel() ** 0.5, name
        assert abs(weight.std() / std - 1) < 4 / (2 * weight.numel()) ** 0.5, name


def test_biases_and_batch_norm_are_neutral() -> None:
    module = wide()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(7)
    initialize(module, 0)
    assert not module.conv.bias.any()
    assert not module.fc.bias.any()
    norm = module.conv.batch_norm
    assert [norm.weight.unique().item(), norm.running_var.unique().item()] == [1, 1]
    assert not norm.bias.any()
    assert not norm.running_mean.any()
    assert norm.num_batches_tracked == 0


def test_same_for_the_same_seed_and_no_other() -> None:
    graph = models.get("mobilenet_v3_small").graph()
    first, second, other = GraphModule(graph), GraphModule(graph, seed=5), GraphModule(graph)
    initialize(first, 5)
    a, b, c = (state_arrays(module) for module in (first, second, other))
    assert all((a[name] == b[name]).all() for name in a)
    assert (a["stem.conv.weight"] != c["stem.conv.weight"]).any()


def test_layout_in_memory_has_no_say() -> None:
    plain, last = wide(), wide().to(memory_format=torch.channels_last)
    initialize(plain, 1)
    initialize(last, 1)
    assert torch.equal(plain.conv.weight, last.conv.weight)
    assert last.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    initialize(wide(), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_activations_keep_their_scale_through_a_network() -> None:
    module = GraphModule(models.get("mobilenet_v2", resolution=64).graph())
    sizes = []
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.register_forward_hook(lambda norm, inputs, output: sizes.append(output.std().item()))
    with torch.no_grad():
        module(torch.randn(8, 3, 64, 64))
    assert len(sizes) == 52
    assert all(0.9 < size < 1.1 for size in sizes)

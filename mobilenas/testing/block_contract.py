"""What every block must do."""

import dataclasses
import json
from collections.abc import Callable

import pytest

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.errors import InputError
from mobilenas.export.lowering import lower
from mobilenas.graph import GraphBuilder, OpGraph, Shape

IN_SHAPES: tuple[Shape, ...] = ((16, 16, 8), (7, 7, 24), (1, 1, 8))


class BlockContract:
    """A suite for one block; override `factory`. The block must be in the registry, by file or by `BLOCKS.add`."""

    @pytest.fixture
    def factory(self) -> Callable[[], Block]:
        """Makes the block."""
        pytest.fail("override the fixture 'factory' so that it returns a function that makes the block")

    @pytest.fixture
    def block(self, factory: Callable[[], Block]) -> Block:
        return factory()

    def test_it_is_a_value(self, factory: Callable[[], Block]) -> None:
        block = factory()
        assert factory() == block
        assert hash(factory()) == hash(block)
        field = dataclasses.fields(block)[0]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(block, field.name, getattr(block, field.name))

    def test_it_survives_json(self, block: Block) -> None:
        data = json.loads(json.dumps(block.to_dict(), allow_nan=False))
        assert data.pop("type") == block.type
        assert type(block).from_dict(data) == block

    def test_unknown_fields_are_named(self, block: Block) -> None:
        data = {**block.to_dict(), "surplus": 1}
        del data["type"]
        with pytest.raises(InputError, match="unknown field 'surplus'"):
            type(block).from_dict(data, where="stem")

    @pytest.mark.parametrize("in_shape", IN_SHAPES)
    def test_it_emits_a_graph_that_can_be_exported(self, block: Block, in_shape: Shape) -> None:
        graph = emitted(block, in_shape)
        assert graph.nodes
        assert graph.outputs == (len(graph.value_shapes) - 1,)
        assert min(graph.value_shapes[-1]) >= 1
        assert all(lower(node.spec) for node in graph.nodes)

    @pytest.mark.parametrize("in_shape", IN_SHAPES)
    def test_it_emits_the_same_again(self, factory: Callable[[], Block], in_shape: Shape) -> None:
        assert emitted(factory(), in_shape) == emitted(factory(), in_shape)

    def test_every_value_is_read(self, block: Block) -> None:
        graph = emitted(block, IN_SHAPES[0])
        read = {value for node in graph.nodes for value in node.inputs} | set(graph.outputs)
        assert read == set(range(len(graph.value_shapes)))

    def test_it_is_a_stage_of_an_architecture_file(self, block: Block) -> None:
        stem, head = ConvBnAct(out_channels=8, stride=2), ConvPoolLinear(out_channels=16)
        arch = Arch(stem=stem, stages=((block,),), head=head, resolution=32, num_classes=10)
        assert Arch.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch
        (span,) = (span for span in arch.graph().spans if span.name == "stages.0.0")
        own = [node.spec for node in arch.graph().nodes[span.start : span.stop]]
        assert own == [node.spec for node in emitted(block, (16, 16, 8)).nodes]


def emitted(block: Block, in_shape: Shape) -> OpGraph:
    """The graph of one block."""
    builder = GraphBuilder(*[in_shape] * block.num_inputs)
    return builder.finish(block.emit(builder, *builder.inputs))

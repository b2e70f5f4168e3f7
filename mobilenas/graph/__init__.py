"""A network as operations in execution order: shapes, MACs, parameters, memory. No torch."""

from mobilenas.graph.builder import ActivationName, GraphBuilder, PaddingStyle, TensorRef
from mobilenas.graph.channel_groups import ChannelGroups
from mobilenas.graph.graph import BatchNorm, BlockSpan, OpGraph, OpNode, single_op
from mobilenas.graph.kind import (
    ACTIVATION_BYTES,
    BYTES,
    ELEMENTWISE,
    WEIGHTED,
    WINDOWED,
    Activation,
    OpKind,
    Padding,
    Shape,
)
from mobilenas.graph.network import Network
from mobilenas.graph.op import OpSpec

__all__ = [
    "ACTIVATION_BYTES",
    "BYTES",
    "ELEMENTWISE",
    "WEIGHTED",
    "WINDOWED",
    "Activation",
    "ActivationName",
    "BatchNorm",
    "BlockSpan",
    "ChannelGroups",
    "GraphBuilder",
    "Network",
    "OpGraph",
    "OpKind",
    "OpNode",
    "OpSpec",
    "Padding",
    "PaddingStyle",
    "Shape",
    "TensorRef",
    "single_op",
]

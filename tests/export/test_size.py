import pytest

from mobilenas import models
from mobilenas.export import DTYPES, FILE_BYTES, op_file_bytes, random_weights, write_tflite


@pytest.mark.parametrize("name", ["mobilenet_v2_0.35", "mobilenet_v3_small", "mnasnet_a1", "proxylessnas_mobile"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_file_is_at_most_2_percent_smaller_than_its_ops_say(name: str, dtype: str) -> None:
    graph = models.get(name, resolution=64).graph()
    size = len(write_tflite(graph, random_weights(graph), dtype=dtype))
    said = FILE_BYTES + sum(op_file_bytes(node.spec, dtype) for node in graph.nodes)
    assert size <= said <= 1.02 * size

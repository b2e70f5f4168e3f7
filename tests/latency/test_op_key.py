"""Rows of whole blocks: their columns, and which of them make up a graph."""

from dataclasses import replace

import pytest

from mobilenas.blocks.mbconv import MBConv
from mobilenas.errors import InputError
from mobilenas.graph import GraphBuilder, OpKind, OpSpec, single_op
from mobilenas.latency import BlockKey, CompiledLatency, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.latency.op_columns import read_key, write_key
from mobilenas.latency.op_key import Covering, key_of, ops_of
from mobilenas.latency.rates import PRIOR
from mobilenas.spaces.mnasnet import MnasNetSpace

BLOCK = MBConv(out_channels=8, expanded_channels=24, activation="relu6")


@pytest.fixture
def graph():
    """Two equal residual blocks and, outside of any, a convolution like the projection of one."""
    builder = GraphBuilder((14, 14, 8))
    x = builder.inputs[0]
    for i in range(2):
        with builder.scope(f"block{i}", block=True):
            x = BLOCK.emit(builder, x)
    return builder.finish(builder.conv2d(x, 4, name="last"))


@pytest.fixture
def ops(graph):
    return [node.spec for node in graph.nodes]


def test_one_op_is_its_own_key_and_more_are_a_block(ops):
    assert key_of(ops[:1]) == ops[0]
    assert key_of(ops[:4]) == BlockKey(tuple(ops[:4]))
    assert ops_of(ops[0]) == (ops[0],)
    with pytest.raises(InputError, match="at least two"):
        BlockKey(tuple(ops[:1]))


def test_columns_read_back(ops):
    for key in (ops[0], BlockKey(tuple(ops[:4])), BlockKey((ops[1], ops[2]))):
        assert read_key(write_key(key)) == key
    columns = list(write_key(BlockKey(tuple(ops[:2]))))
    assert columns[0] == "conv2d;depthwise_conv2d"
    columns[2] = "24"
    with pytest.raises(ValueError, match="as many values"):
        read_key(columns)


def test_the_longest_known_block_wins(graph, ops):
    whole, part = BlockKey(tuple(ops[:4])), BlockKey(tuple(ops[:2]))
    assert Covering([part, whole])(graph) == {whole: 2, ops[8]: 1}
    assert Covering([part])(graph) == {part: 2, ops[2]: 2, ops[3]: 2, ops[8]: 1}
    assert Covering([])(graph) == graph.op_counts()


def test_a_block_never_reaches_over_the_end_of_a_span(graph, ops):
    across = BlockKey((ops[3], ops[4]))  # the sum of the first block, the expansion of the second
    assert Covering([across])(graph) == graph.op_counts()


def test_a_prediction_adds_blocks_and_ops(graph, ops):
    whole = BlockKey(tuple(ops[:4]))
    rows = {whole: Measurement(100.0), ops[8]: Measurement(7.0), ops[0]: Measurement(1e6)}
    latency = LatencyPredictor(LatencyTable(TableInfo(device="d", method="imported"), rows)).predict(graph)
    assert latency.ms == pytest.approx(0.207)
    assert latency.counts == {whole: 2, ops[8]: 1}
    assert {cost.source for cost in latency.by_op.values()} == {"imported"}
    assert latency.unmeasured == ()


def test_what_an_imported_table_lacks_is_priced_by_its_rates_and_widens_the_interval(graph, ops):
    whole = BlockKey(tuple(ops[:4]))
    table = LatencyTable(TableInfo(device="d", method="imported"), {whole: Measurement(100.0)}, rates=PRIOR)
    latency = LatencyPredictor(table).predict(graph)
    assert latency.by_op[ops[8]].source == "estimated"
    assert latency.unmeasured == (ops[8],)
    assert latency.ms == pytest.approx(0.2 + PRIOR.op_us(ops[8]) / 1e3)


def test_a_block_without_a_row_is_refused(ops):
    op = OpSpec(OpKind.CONV2D, ((7, 7, 8),), 8)
    predictor = LatencyPredictor(LatencyTable(TableInfo(device="d"), {op: Measurement(1.0)}))
    with pytest.raises(InputError, match="no row of this block"):
        predictor.op_latency(BlockKey(tuple(ops[:2])))


def test_a_search_refuses_a_table_of_blocks(ops):
    table = LatencyTable(TableInfo(device="d"), {BlockKey(tuple(ops[:4])): Measurement(1.0)}, rates=PRIOR)
    with pytest.raises(InputError, match=r"whole blocks.*mobilenas profile --device d"):
        CompiledLatency(LatencyPredictor(table), MnasNetSpace(resolution=32, num_classes=10))


def test_a_table_of_blocks_reads_back(tmp_path, ops):
    rows = {BlockKey(tuple(ops[:4])): Measurement(1.5, 0.25, 40, 1), ops[8]: Measurement(2.5)}
    table = LatencyTable(TableInfo(device="d", method="imported"), rows, rates=PRIOR, notes=("a: b", "c"))
    table.save(tmp_path / "d.csv")
    read = LatencyTable.load(tmp_path / "d.csv")
    assert dict(read) == rows
    assert (read.rates, read.notes) == (PRIOR, ("a: b", "c"))
    assert (list(read.ops), list(read.blocks)) == ([ops[8]], [BlockKey(tuple(ops[:4]))])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ops 5.0", "ops nan", r"line \d+: ops 'nan' is not accepted"),
        ("# rates: pointwise", "# rates: pointless", r"line \d+: the rates must give"),
        ("2019 | 0.9", "2019 | 90", r"line \d+: era"),
        ("# note:", "# nota:", r"line \d+: unknown key 'nota'"),
        ("conv2d;depthwise_conv2d;conv2d;add", "conv2d;depthwise_conv2d;conv2d", r"line \d+: .*as many values"),
    ],
)
def test_damage_of_what_imported_tables_have_is_named_with_its_line(tmp_path, ops, old, new, message):
    path = tmp_path / "d.csv"
    rates = replace(PRIOR, eras={"2018": 1.0, "2019": 0.9})
    LatencyTable(TableInfo(device="d"), {BlockKey(tuple(ops[:4])): Measurement(1.0)}, rates=rates, notes=("n",)).save(
        path
    )
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        LatencyTable.load(path)


def test_eras_read_back_in_their_order(tmp_path, ops):
    rates = replace(PRIOR, eras={"newer": 1.0, "a | b": 1.2, "2018": 1.4})
    LatencyTable(TableInfo(device="d"), {ops[8]: Measurement(1.0)}, rates=rates).save(tmp_path / "d.csv")
    read = LatencyTable.load(tmp_path / "d.csv")
    assert list(read.rates.eras.items()) == list(rates.eras.items())
    latency = LatencyPredictor(read).predict(single_op(ops[8]))
    assert latency.eras == pytest.approx({"newer": 1e-3, "a | b": 1.2e-3, "2018": 1.4e-3})

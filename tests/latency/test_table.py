"""The table's file: round trip, and every kind of damage named by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenas.errors import InputError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import Calibration, CalibrationNetwork, LatencyTable, Measurement, TableInfo, load_table
from mobilenas.latency.op_columns import read_op, write_op
from mobilenas.runners import Device

CONV = OpSpec(OpKind.CONV2D, ((56, 56, 24),), 144, activation="relu6")
EXPLICIT = OpSpec(OpKind.CONV2D, ((56, 56, 24),), 32, kernel_size=(3, 3), stride=(2, 2), padding=((1, 1), (1, 1)))
MUL = OpSpec(OpKind.MUL, ((7, 7, 96), (1, 1, 96)), 96)
INFO = TableInfo(device="host", cpu="x, y: z", runtime="litert 2", date="2026-11-24", overhead_us=0.25)
NETWORKS = tuple(
    CalibrationNetwork(f"mnasnet@224#{i}", 1000.0 + 100 * i, 10**6 * i, 1100.0 + 110 * i) for i in range(6)
)


@pytest.fixture
def path(tmp_path):
    rows = {CONV: Measurement(190.5, 1.65, 120, 3), EXPLICIT: Measurement(7.25), MUL: Measurement(2.7)}
    target = tmp_path / "host.float32.csv"
    LatencyTable(INFO, rows, NETWORKS).save(target)
    return target


def test_round_trip(path):
    table = LatencyTable.load(path)
    assert table.info == INFO
    assert table[CONV] == Measurement(190.5, 1.65, 120, 3)
    assert set(table) == {CONV, EXPLICIT, MUL}
    assert table.networks == NETWORKS
    assert table.calibration == LatencyTable(INFO, {}, NETWORKS).calibration
    assert table.to_csv() == path.read_text()


@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.one_of(
        st.sampled_from(["same", "valid"]),
        st.tuples(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    ),
    groups=st.sampled_from([1, 2, 4]),
)
def test_columns_of_any_convolution_read_back(kernel, stride, padding, groups):
    op = OpSpec(OpKind.CONV2D, ((9, 8, 8),), 12, kernel, stride, (1, 1), groups, padding, "relu")
    assert read_op(write_op(op)) == op


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("190.5000", "nan", "latency_us 'nan'"),
        ("190.5000", "-1", "latency_us '-1'"),
        ("190.5000", "inf", "latency_us 'inf'"),
        ("190.5000", "", "latency_us ''"),
        ("190.5000,1.6500,120,3", "190.5", "values, not 13"),
        ("1.6500,120,3", "1.6500,-5,3", "runs '-5' is not accepted; give a whole number from 0"),
        ("1.6500,120,3", "1.6500,1.5,3", "runs '1.5' is not accepted; give a whole number"),
        ("1.6500,120,3", "1.6500,1_0,3", "runs '1_0' is not accepted"),
        ("190.5000", "1_0", "latency_us '1_0' is not accepted; give a number"),
        ("190.5000", " 5", "latency_us ' 5'"),
        ("190.5000", "\uff11\uff12", "latency_us '\uff11\uff12'"),
        ("190.5000", "0x10", "latency_us '0x10'"),
        ("conv2d,56x56x24,144", "conv9d,56x56x24,144", "kind 'conv9d' is not known; accepted: conv2d, "),
        ("conv2d,56x56x24,144", "conv2d,56x56x24,abc", "out_channels 'abc' is not accepted"),
        ("conv2d,56x56x24,144", "conv2d,56x-5x24,144", "in_shapes '-5' is not accepted"),
        ("conv2d,56x56x24,144", "conv2d,56x24,144", "in_shapes '56x24' is not accepted; give 3 numbers joined by 'x'"),
        ("# unit: us", "# unit: ms", "unit 'ms'"),
        ("# method: measured", "# method: guessed", "method 'guessed'"),
        ("# overhead_us: 0.25", "# overhead_us: nan", "overhead_us 'nan'"),
        ("# threads: 1", "# threads: one", "line 3: threads 'one' is not accepted; give a whole number"),
        ("# threads: 1", "# threads: 1_0", "line 3: threads '1_0'"),
        ("# cpu:", "# gpu:", "unknown key 'gpu'"),
        ("latency_us,spread_us", "latency_ms,spread_us", "the columns must be"),
        ("scale ", "scale -", "scale '-.*' is not accepted"),
        ("scale ", "scale x", "scale 'x.*' is not accepted"),
        ("networks 6", "networks 6.0", "networks '6.0' is not accepted; give a whole number"),
        (" | 1100.00", "", "has 3 fields; give 4, 6, 7 or 8"),
        (" | 1100.00", " | nan", "measured_us 'nan' is not accepted"),
        (" | 1100.00", " | 0.00", "not positive"),
    ],
)
def test_damage_is_named_with_its_line(path, old, new, message):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        LatencyTable.load(path)
    assert str(path) in str(caught.value)


def test_a_duplicate_row_is_refused_with_its_line(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(InputError, match=rf"line {len(lines) + 1}: the op stands in the table twice"):
        LatencyTable.load(path)


def test_a_stray_quote_is_reported_where_it_stands(path):
    lines = path.read_text().splitlines()
    number = len(lines) - 1
    lines[number - 1] = '"' + lines[number - 1]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=rf"line {number}: a quote in .* is out of place; restore the line"):
        LatencyTable.load(path)


def test_every_truncation_is_refused_or_a_shorter_valid_table(path):
    text = path.read_text()
    for length in range(0, len(text), 7):
        path.write_text(text[:length])
        try:
            table = LatencyTable.load(path)
        except InputError:
            continue
        assert len(table) <= 3


@pytest.mark.parametrize(("field", "device"), [("threads", Device(name="host", runner="host", threads=2))])
def test_a_table_that_does_not_fit_the_device_is_refused(path, own_home, field, device):
    target = own_home / "latency_tables" / "host.float32.csv"
    target.parent.mkdir(parents=True)
    target.write_text(path.read_text())
    with pytest.raises(InputError, match=f"measured with {field} 1, but the device says 2"):
        load_table(device, "float32")


def test_updated_replaces_rows_and_fits_all_networks():
    table = LatencyTable(INFO, {CONV: Measurement(1.0)}, NETWORKS[:1])
    newer = table.updated(INFO, {CONV: Measurement(2.0), MUL: Measurement(3.0)}, NETWORKS)
    assert newer[CONV].latency_us == 2.0
    assert len(newer) == 2
    assert newer.networks == NETWORKS
    assert table[CONV].latency_us == 1.0


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("share: 1.0", "share: 7", "share"),
        ("threads: 1", "threads: four", "threads 'four' is not accepted"),
        ("dtype: float32", "dtype: " + 5000 * "9", r"dtype '9{50,60}\.\.\. is not accepted"),
    ],
)
def test_damage_of_text_and_preamble_is_named(tmp_path, old, new, problem):
    op = OpSpec(OpKind.ADD, ((7, 7, 8),) * 2, 8)
    text = LatencyTable(TableInfo(device="d"), {op: Measurement(1.0)}).to_csv()
    assert old in text
    path = tmp_path / "d.float32.csv"
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=problem):
        LatencyTable.load(path)


@pytest.mark.parametrize("scale", ["0.0", "1e308", "-1.0"])
def test_a_calibration_that_no_device_has_is_refused(scale):
    text = Calibration(1.0, 2.0, 3.0, 0.02, 10).to_text()
    with pytest.raises(ValueError, match="scale"):
        Calibration.from_text(text.replace("scale 1.0", f"scale {scale}"))


def test_a_table_of_an_earlier_version_keeps_its_rows_and_loses_its_calibration(path):
    calibrated = LatencyTable.load(path)
    path.write_text(path.read_text().replace(", cache_mb ", ", knee_mb "))
    table = LatencyTable.load(path)
    assert dict(table.ops) == dict(calibrated.ops)
    assert table.networks == ()
    assert table.calibration == LatencyTable(INFO, {}).calibration != calibrated.calibration


def test_a_calibration_that_says_something_else_is_refused():
    with pytest.raises(ValueError, match="must give scale"):
        Calibration.from_text("x")


def test_a_row_of_0_counts_as_not_measured(path):
    path.write_text(path.read_text().replace("190.5000", "0.0000"))
    assert set(LatencyTable.load(path)) == {EXPLICIT, MUL}


def test_no_row_is_written_as_0(path):
    LatencyTable(INFO, {CONV: Measurement(1e-9), MUL: Measurement(0.0)}).save(path)
    assert {op: row.latency_us for op, row in LatencyTable.load(path).items()} == {CONV: 1e-4}


@pytest.mark.parametrize("name", ["a | b", "a\nb", "a\u2028# note: b", "", " ", "|"])
def test_any_name_of_a_network_reads_back(path, name):
    network = CalibrationNetwork(name, 1000.0, 10**6, 1100.0)
    LatencyTable(INFO, {CONV: Measurement(1.0)}, (network,)).save(path)
    (read,) = LatencyTable.load(path).networks
    assert (read.op_sum_us, read.footprint_bytes, read.measured_us) == (1000.0, 10**6, 1100.0)


def test_rows_of_forms_that_ops_no_longer_have_count_as_not_measured(tmp_path):
    path = tmp_path / "table.csv"
    small, large = (OpSpec(OpKind.DEPTHWISE_CONV2D, ((9, 9, 4),), 4, kernel_size=(size, size)) for size in (5, 7))
    for method, kept in (("measured", [small]), ("imported", [small, large])):
        table = LatencyTable(TableInfo(device="d", method=method), {small: Measurement(2.0), large: Measurement(70.0)})
        table.save(path)
        assert list(LatencyTable.load(path)) == [small, large]
        path.write_text(path.read_text().replace("# forms: 2\n", ""))
        read = LatencyTable.load(path)
        assert list(read) == kept
        read.updated(read.info, {large: Measurement(9.0)}).save(path)
        assert LatencyTable.load(path)[large].latency_us == 9.0


@pytest.mark.parametrize("forms", ["0", "3", "99", "-1", "nan", "many"])
def test_forms_that_are_not_known_are_refused(tmp_path, forms):
    path = tmp_path / "table.csv"
    LatencyTable(TableInfo(device="d"), {}).save(path)
    path.write_text(path.read_text().replace("# forms: 2", f"# forms: {forms}"))
    with pytest.raises(InputError, match=r"forms .* is not accepted"):
        LatencyTable.load(path)

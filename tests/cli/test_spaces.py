import json

import pytest
from plans import EVERY_FIELD

from mobilenas.spaces import SPACES


def test_all_spaces_are_listed(answer):
    rows = answer("spaces")
    assert [row["name"] for row in rows] == sorted(SPACES)
    proxy = next(row for row in rows if row["name"] == "mnasnet_proxy")
    assert (proxy["decisions"], proxy["genotypes"], proxy["distinct_ops"]) == (28, 36**6 * 48, 277)
    assert all(row["profiling_seconds"] > 0.04 * row["distinct_ops"] for row in rows)


def test_a_space_file_is_described(mobilenas, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(EVERY_FIELD))
    code, out, _ = mobilenas("spaces", path)
    assert code == 0
    assert out.splitlines()[0].split() == ["space", "decisions", "genotypes", "distinct", "ops", "profiling", "s"]
    assert out.splitlines()[1].split()[:2] == ["mine", "19"]


@pytest.mark.parametrize("name", ["narnia", "nowhere.json"])
def test_an_unknown_space(refused, name):
    assert name in refused(2, "spaces", name)


def test_a_space_that_no_float_can_count(mobilenas, answer, tmp_path):
    path = tmp_path / "many.json"
    stage = {"out_channels": [16], "layers": [1, 64], "kernel_size": [3, 5, 7], "layerwise": True}
    path.write_text(json.dumps({**EVERY_FIELD, "stages": [stage] * 12}))
    code, out, _ = mobilenas("spaces", path)
    assert code == 0
    figure, _, power = out.splitlines()[1].split()[2].partition("e+")
    assert len(figure) <= 3
    assert int(power) > 308
    row = answer("spaces", path)[0]
    assert row["genotypes"] is None
    assert int(row["genotypes_log10"]) == int(power)


@pytest.mark.parametrize(
    ("digits", "zeros", "text"),
    [(8, 0, "8"), (43046721, 0, "4.3e+07"), (996, 12, "1e+15"), (996, 400, "1e+403"), (123, 5000, "1.2e+5002")],
)
def test_sizes_to_two_digits(monkeypatch, digits, zeros, text):
    from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace

    monkeypatch.setattr(NasBenchMacroSpace, "size", digits * 10**zeros)
    assert NasBenchMacroSpace().size_text == text

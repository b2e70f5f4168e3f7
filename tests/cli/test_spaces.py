import json

import pytest
from plans import EVERY_FIELD

from mobilenas.spaces import SPACES


def test_all_spaces_are_listed(answer):
    rows = answer("spaces")
    assert [row["name"] for row in rows] == sorted(SPACES)
    proxy = next(row for row in rows if row["name"] == "mnasnet_proxy")
    assert (proxy["decisions"], proxy["genotypes"], proxy["distinct_ops"]) == (28, 36**6 * 48, 277)
    assert all(row["profiling_seconds"] > 0.06 * row["distinct_ops"] for row in rows)


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

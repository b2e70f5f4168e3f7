"""Every name that `mobilenas models` prints works in every command that takes a network."""

import json

import pytest
from published_names import published_names

from mobilenas import models
from mobilenas.models.published import Published

NAMES = published_names(slow=True)


def test_models_prints_them_all(answer) -> None:
    assert [row["name"] for row in answer("models")] == models.names() == [param.values[0] for param in NAMES]


@pytest.mark.timeout(1800)  # the largest, in float64, beside other work
@pytest.mark.parametrize("name", NAMES)
def test_info_predict_export_and_verify(answer, table, tmp_path, name: str) -> None:
    published: Published = models.published(name)
    document = answer("info", name)
    assert (document["name"], document["params"]) == (name, published.params)
    assert document["macs"] == sum(op["macs"] for op in document["ops"])

    latency = answer("predict", name, "--device", "fake")
    assert 0 < latency["low_ms"] <= latency["latency_ms"] <= latency["high_ms"]
    assert {op["source"] for op in latency["ops"]} == {"measured"}
    assert sum(op["count"] for op in latency["ops"]) == sum(op["count"] for op in document["ops"])

    path = tmp_path / "network.tflite"
    assert answer("export", name, "--no-verify", "--out", path)["size_bytes"] == path.stat().st_size
    assert path.stat().st_size > 4 * published.params - 16 * published.params // 100

    checks = answer("verify", path, "--against", name)["checks"]
    assert all(check["passed"] for check in checks), json.dumps(checks)
    assert {"delegate", "parity"} <= {check["name"] for check in checks}

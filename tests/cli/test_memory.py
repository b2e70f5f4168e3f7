"""Where memory does not suffice, one line says so."""

import pytest

from mobilenas.cli import main


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("Unable to allocate 49.0 GiB for an array with shape (1,)"), "49.0 GiB more could not be had"),
        (MemoryError(), "no more could be had"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 70 bytes."),
            "70 bytes more could not be had",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"), "20.00 GiB more could not be had"),
    ],
)
def test_out_of_memory(refused, monkeypatch, error, said):
    def fail(name):
        raise error

    monkeypatch.setattr(main.info, "resolve_network", fail)
    assert f"error: out of memory: {said}; give a smaller network" in refused(2, "info", "mobilenet_v2")


def test_another_error_of_the_runtime_stays_a_bug(mobilenas, monkeypatch):
    def fail(name):
        raise RuntimeError("a bug")

    monkeypatch.setattr(main.info, "resolve_network", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        mobilenas("info", "mobilenet_v2")

"""Models for the fake phone, and what it must say of them."""

import time

import pytest

from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import TimingProtocol

QUICK = TimingProtocol(visits=2, runs=5, visit_seconds=0.01, timeout_seconds=20)
MODELS = [write_micro_model(OpSpec(OpKind.CONV2D, ((7, 7, channels),), 32)) for channels in range(8, 80, 8)]


def truth_us(model):
    """What the fast binary prints: a microsecond a thousand bytes, with one decimal."""
    return len(model) // 100 / 10


def assert_all_measured(timings, models=MODELS, visits=2):
    assert [timing.latency_us for timing in timings] == pytest.approx([truth_us(model) for model in models])
    assert {timing.visits for timing in timings} == {visits}


def wait_for(what, seconds=10.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)

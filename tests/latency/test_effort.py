from mobilenas.latency import profiling_seconds
from mobilenas.latency.calibration_set import networks_for
from mobilenas.latency.support import support_ops
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace


def test_visits_by_hand() -> None:
    space = MnasNetProxySpace(resolution=64)
    ops = len({*space.distinct_ops(), *support_ops()})
    # two visits of 20 ms an op, twelve of 40 ms a network
    assert abs(profiling_seconds(space) - (0.04 * ops + 0.48 * len(networks_for(space)))) < 1e-9

"""How long profiling a space takes."""

from mobilenas.latency.calibration_set import CALIBRATION_NETWORKS, PUBLISHED
from mobilenas.latency.profiling import NETWORK_PROTOCOL, NETWORK_VISITS_BEHIND_A_GATE, OP_PROTOCOL, OP_VISITS
from mobilenas.latency.support import support_ops
from mobilenas.spaces import SearchSpace


def profiling_seconds(space: SearchSpace) -> float:
    """Seconds that the ops of a space, the support ops and the calibration networks are timed for.

    Every visit counts with its time limit, which visits to small ops do not reach; loading models, the sentinels and
    repeated visits, which do not count, make up for it on a desktop processor. A device that needs longer than a
    visit's limit for five runs takes longer.
    """
    ops = len(space.distinct_ops().union(support_ops()))
    networks = CALIBRATION_NETWORKS + len(PUBLISHED)
    seconds_a_network = NETWORK_VISITS_BEHIND_A_GATE * NETWORK_PROTOCOL.visit_seconds
    return ops * OP_VISITS * OP_PROTOCOL.visit_seconds + networks * seconds_a_network

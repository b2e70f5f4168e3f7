"""What a latency table has rows of: ops, and whole blocks where a foreign table was measured block by block."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mobilenas.errors import InputError
from mobilenas.graph import OpGraph, OpSpec


@dataclass(frozen=True, slots=True)
class BlockKey:
    """Ops in a row that were measured as one.

    The order of the ops stands for their wiring: a block's ops read each other, and their shapes must agree.

    Attributes:
        ops: At least two, in execution order.

    Raises:
        InputError: If there are fewer; one op is its own key.
    """

    ops: tuple[OpSpec, ...]

    def __post_init__(self) -> None:
        if len(self.ops) < 2:
            raise InputError(f"a block of {len(self.ops)} ops is not accepted; give at least two")

    def to_dict(self) -> dict[str, Any]:
        """The block as JSON values."""
        return {"kind": "block", "ops": [op.to_dict() for op in self.ops]}


OpKey = OpSpec | BlockKey


def key_of(ops: Iterable[OpSpec]) -> OpKey:
    """The key of ops in a row: the op itself where there is one.

    Raises:
        InputError: If there is none.
    """
    found = tuple(ops)
    return found[0] if len(found) == 1 else BlockKey(found)


def ops_of(key: OpKey) -> tuple[OpSpec, ...]:
    """The ops that a row stands for."""
    return key.ops if isinstance(key, BlockKey) else (key,)


class Covering:
    """Says which rows of a table make up a graph: from left to right, the longest known run of a block's ops wins.

    Args:
        blocks: The blocks that the table has rows of.
    """

    def __init__(self, blocks: Iterable[BlockKey]) -> None:
        self._by_first: dict[OpSpec, list[BlockKey]] = defaultdict(list)
        for block in sorted(blocks, key=lambda block: -len(block.ops)):
            self._by_first[block.ops[0]].append(block)

    def __call__(self, graph: OpGraph) -> Counter[OpKey]:
        """How often each row is needed; an op that belongs to no known block is its own key."""
        counts: Counter[OpKey] = Counter()
        if not self._by_first:
            counts.update(graph.op_counts())
            return counts
        specs = [node.spec for node in graph.nodes]
        ends = {index: span.stop for span in graph.spans for index in range(span.start, span.stop)}
        start = 0
        while start < len(specs):
            key = self._longest(tuple(specs[start : ends.get(start, start + 1)]))
            counts[key] += 1
            start += len(ops_of(key))
        return counts

    def _longest(self, ahead: tuple[OpSpec, ...]) -> OpKey:
        known = self._by_first.get(ahead[0], [])
        return next((block for block in known if ahead[: len(block.ops)] == block.ops), ahead[0])

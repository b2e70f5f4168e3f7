"""How large an exported file will be, op by op."""

from mobilenas.export.large_windows import is_in_pieces, is_large, pieces
from mobilenas.graph import WEIGHTED, OpSpec

FILE_BYTES = 4_000
"""Of a file besides its ops."""
OP_BYTES = {"float32": 260, "float16": 260, "int8": 500}
"""Of an op's entries besides its weights; in int8 some ops are written as several."""
HALF_WEIGHT_BYTES = 300
"""Of the op that widens float16 weights."""
PIECE_BYTES = {"float32": 750, "float16": 1000, "int8": 750}
"""Of the entries of a piece of a large window, besides a bias."""
CHANNEL_BYTES = 24
"""Scale (4 bytes) and zero point (8 bytes) of an output channel of int8 weights, and of its bias."""


def op_file_bytes(op: OpSpec, dtype: str = "float32") -> int:
    """Bytes that an op adds to an exported file; with `FILE_BYTES` they sum to at most 2 % more than the file has."""
    in_float = dtype == "int8" and is_large(op)
    size = OP_BYTES[dtype] + op.weight_bytes("float32" if in_float else dtype)
    if is_in_pieces(op):
        count = len(pieces(op.kernel_size))
        size += PIECE_BYTES[dtype] * count + 4 * op.out_channels * (count - 1)
    if op.kind in WEIGHTED and dtype == "float16":
        size += HALF_WEIGHT_BYTES
    if op.kind in WEIGHTED and dtype == "int8" and not in_float:
        size += CHANNEL_BYTES * op.out_channels
    return size

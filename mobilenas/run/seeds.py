"""Seeds of trials."""

import hashlib


def derived_seed(seed: int, index: int) -> int:
    """The seed of trial `index` of a run."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:4], "little")

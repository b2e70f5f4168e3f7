"""What a training does to the process it runs in, and takes back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Random streams that begin at `seed` and algorithms that give the same bits every time, while the body runs.

    Streams and settings of the process are as before afterwards; `CUBLAS_WORKSPACE_CONFIG`, without which CUDA's matrix
    products are refused, is set where it was not, and stays.

    Args:
        seed: In [0, 2**63).
    """
    cudnn = torch.backends.cudnn
    memory: Any = deterministic  # its one attribute is not in torch's stubs
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill, benchmark = memory.fill_uninitialized_memory, cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        torch.use_deterministic_algorithms(True)
        memory.fill_uninitialized_memory = False
        cudnn.benchmark = False
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        memory.fill_uninitialized_memory = fill
        cudnn.benchmark = benchmark

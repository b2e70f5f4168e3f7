"""Weights as numpy arrays by state-dict name: read, made up, folded. No torch."""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.graph import OpGraph, OpNode

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Array]
"""Arrays named and shaped as `OpGraph.state_shapes` says, in torch's layout."""

MAX_HEADER_BYTES = 100_000_000
MAX_FILE_BYTES = 2**31 - 1
"""Offsets in a flatbuffer are 32 bits wide and signed."""

ELEMENTS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8", "BOOL": "?"},
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}
"""Element types of safetensors files as numpy has them."""


def check_fits(graph: OpGraph, dtype: str) -> None:
    """Raises `InputError` for a network whose weights no `.tflite` file can hold."""
    size = graph.weight_bytes(dtype)
    if size > MAX_FILE_BYTES:
        raise InputError(f"the network has {size / 1e9:.3g} GB of {dtype} weights; a .tflite file holds at most 2.1 GB")


def check_finite(weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raises `InputError` that names the first tensor with a value that is not finite."""
    name = next((name for name, values in weights.items() if not np.isfinite(values).all()), None)
    if name is not None:
        raise InputError(f"{name} holds NaN or infinity; give weights that are finite, from a training that went well")


def check_one_output(graph: OpGraph) -> None:
    """Raises `InputError` for a network with several outputs, whose file nothing could be held against."""
    if len(graph.outputs) != 1:
        raise InputError(
            f"the network gives {len(graph.outputs)} outputs; give one that gives scores or an image alone"
        )


def random_weights(graph: OpGraph, seed: int = 0) -> dict[str, Array]:
    """Weights for a network that has none, scaled so that values stay of the order of 1 from end to end.

    Good for timing and for parity; the values come from a pool, so that even large networks take milliseconds.

    Args:
        graph: The network.
        seed: Chooses where in the pool each tensor starts.

    Raises:
        InputError: If the network is too large for a file.
    """
    check_fits(graph, "float32")
    rng = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for node in graph.weighted_nodes():
        shape, channels = node.spec.weight_shape, node.spec.out_channels
        gain = 1.0 if node.spec.activation == "none" else 2.0  # what relu halves
        weights[f"{node.weight_name}.weight"] = _draw(shape, (gain / math.prod(shape[1:])) ** 0.5, rng)
        if node.bias:
            weights[f"{node.weight_name}.bias"] = _draw((channels,), 0.1, rng)
        if node.batch_norm:
            prefix = f"{node.weight_name}.batch_norm"
            weights[f"{prefix}.weight"] = np.ones(channels, np.float32)
            weights[f"{prefix}.bias"] = _draw((channels,), 0.1, rng)
            weights[f"{prefix}.running_mean"] = np.zeros(channels, np.float32)
            weights[f"{prefix}.running_var"] = np.ones(channels, np.float32)
    return weights


def _draw(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Array:
    """Values from the pool, from a random place on."""
    pool, count = _pool(), math.prod(shape)
    start = int(rng.integers(len(pool)))
    values = pool[start : start + count] if start + count <= len(pool) else np.resize(np.roll(pool, -start), count)
    return (values * np.float32(scale)).reshape(shape)


_POOL: list[Array] = []


def _pool() -> Array:
    if not _POOL:
        _POOL.append(np.random.default_rng(0).standard_normal(1_000_003).astype(np.float32))
    return _POOL[0]


def read_weights(path: Path, graph: OpGraph) -> dict[str, Array]:
    """Reads a safetensors file that holds the weights of `graph`.

    Args:
        path: The file.
        graph: The network; its `state_shapes` must all be there. `num_batches_tracked` and nothing else may be left
            over.

    Raises:
        InputError: If the file cannot be read, is no safetensors file, or does not fit; the text names the first
            tensors that differ.
    """
    return fitted(read_tensors(path), graph, str(path))


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All tensors of a safetensors file.

    Raises:
        InputError: If the file cannot be read or is no safetensors file.
    """
    from safetensors import SafetensorError, deserialize

    check_safetensors(path)
    try:
        return {name: _array(**entry) for name, entry in deserialize(path.read_bytes())}  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = plain(str(error))
        raise InputError(f"cannot read weights {path}: {said}; give a .safetensors file of float32") from error


def _array(dtype: str, shape: Sequence[int], data: bytes) -> npt.NDArray[Any]:
    """A tensor of a file; bfloat16, which numpy does not have, is the upper half of float32."""
    values = np.frombuffer(data, ELEMENTS[dtype])
    if dtype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape)


def fitted(found: Mapping[str, npt.NDArray[Any]], graph: OpGraph, source: str) -> dict[str, Array]:
    """Tensors as the weights of `graph`.

    Args:
        found: The tensors by name; `num_batches_tracked` and nothing else may be left over.
        graph: The network; its `state_shapes` must all be there.
        source: What errors call them.

    Raises:
        InputError: If they do not fit; the text names the first tensors that differ.
    """
    wanted = graph.state_shapes()
    extra = [name for name in found if name not in wanted and not name.endswith("num_batches_tracked")]
    problems = [f"{name} is missing" for name in wanted if name not in found]
    problems += [f"{plain(name)} is not in the network" for name in extra]
    for name, shape in wanted.items():
        if name in found:
            problems += tensor_problems(name, found[name], shape)
    require_fit(source, problems)
    return {name: found[name].astype(np.float32, copy=False) for name in wanted}


def require_fit(source: str, problems: Sequence[str]) -> None:
    """Raises `InputError` that names the first of the problems, if there are any."""
    if problems:
        rest = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(f"{source} does not fit the network: {'; '.join(problems[:3])}{rest}")


def plain(text: str) -> str:
    """What a file says, short enough and printable for an error of one line."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])


def tensor_problems(name: str, found: npt.NDArray[np.generic], shape: tuple[int, ...]) -> list[str]:
    """What is wrong with one tensor that the network wants in a shape: nothing or one thing."""
    if found.shape != shape:
        return [f"{name} has shape {found.shape}, the network {shape}"]
    if found.dtype.kind != "f":
        return [f"{name} holds {found.dtype}, not floats"]
    largest = float(np.finfo(np.float32).max)
    values = found.astype(np.float64)
    if not (np.abs(values) <= largest).all():
        return [f"{name} holds values that are not finite in float32"]
    if "running_var" in name and (values < 0).any():
        return [f"{name} holds values below 0"]
    return []


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors files do, whatever its name: a length and a JSON object of it."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
        return len(start) == 9 and start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] <= path.stat().st_size - 8
    except OSError:
        return False


def check_safetensors(path: Path) -> None:
    """Checks size and header of a safetensors file before a library reads it.

    Raises:
        InputError: If the file cannot be read or its header is impossible.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise InputError(f"cannot read weights {path}: not a whole .safetensors file")
            if not isinstance(json.loads(file.read(length)), dict):
                raise ValueError("the header is no object")
    except OSError as error:
        raise InputError(f"cannot read weights {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read weights {path}: not a .safetensors file ({error})") from error


def folded(node: OpNode, weights: Weights) -> tuple[Array, Array]:
    """Weight and bias of one node with its batch norm folded in.

    Args:
        node: A node that has weights.
        weights: The network's state dict.

    Returns:
        The weight in torch's layout and the bias, shape (out_channels,); both float32, computed in float64.
    """
    weight = weights[f"{node.weight_name}.weight"]
    bias = weights[f"{node.weight_name}.bias"] if node.bias else np.zeros(node.spec.out_channels, np.float32)
    if node.batch_norm is None:
        return weight, bias
    scale, shift, mean, variance = (
        weights[f"{node.weight_name}.batch_norm.{name}"].astype(np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + node.batch_norm.epsilon)
    shape = (-1, *(1,) * (weight.ndim - 1))
    return (weight * factor.reshape(shape)).astype(np.float32), (shift + (bias - mean) * factor).astype(np.float32)


def folded_network(graph: OpGraph, weights: Weights) -> tuple[OpGraph, dict[str, Array]]:
    """The same network without batch norm: every node that has weights has a bias, and what was folded in."""
    found: dict[str, Array] = {}
    for node in graph.weighted_nodes():
        for name, value in zip(("weight", "bias"), folded(node, weights), strict=True):
            found[f"{node.weight_name}.{name}"] = value
    return graph.folded(), found

"""Small steps as text, interpreted on NumPy arrays, and slow references of the arithmetic."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssft.compiler.backends.interpreter import Arithmetic, interpret_step

sys.path.insert(0, str(Path(__file__).parents[1]))

from programs import argument, metric, step

MLIR = {
    np.dtype(np.float16): "f16",
    np.dtype(np.float32): "f32",
    np.dtype(np.float64): "f64",
    np.dtype(np.bool_): "i1",
    np.dtype(np.int8): "i8",
    np.dtype(np.int16): "i16",
    np.dtype(np.int32): "i32",
    np.dtype(np.int64): "i64",
}


def tensor(shape: Sequence[int], element: str) -> str:
    return f"tensor<{''.join(f'{size}x' for size in shape)}{element}>"


def type_of(array: np.ndarray, element: str | None = None) -> str:
    return tensor(array.shape, element or MLIR[array.dtype])


def plan_text(types: Sequence[str], results: Sequence[str], body: str) -> str:
    """A plan with arguments ``%a0``, ``%a1``, …; `body` ends in ``return`` of `results`."""
    arguments = [argument(f"a{n}", type_) for n, type_ in enumerate(types)]
    return step(arguments, [metric(type_) for type_ in results], body)


def evaluate(
    body: str,
    results: Sequence[str],
    *arrays: np.ndarray,
    arithmetic: Arithmetic = "native",
    types: Sequence[str] | None = None,
) -> list[np.ndarray]:
    """Interprets a body on arguments ``%a0``, …; their types are those of `arrays` by default."""
    text = plan_text(types or [type_of(array) for array in arrays], results, body)
    return interpret_step(text, arithmetic).evaluate(arrays)


def elementwise(op: str, operands: Sequence[np.ndarray], result: str, **options: object):
    """Interprets one scalar operation, written with ``%x0``, …, on each element."""
    shape = np.broadcast_shapes(*(array.shape for array in operands))
    types = options.get("types") or [type_of(array) for array in operands]
    domain = ", ".join(f"d{n}" for n in range(len(shape)))
    map_ = f"affine_map<({domain}) -> ({domain})>"
    elements = [str(type_).rsplit("x", 1)[-1].strip("<>") for type_ in types]
    blocks = ", ".join(f"%x{n}: {element}" for n, element in enumerate(elements))
    names = ", ".join(f"%a{n}" for n in range(len(operands)))
    body = f"""
      %e = tensor.empty() : {tensor(shape, result)}
      %r = linalg.generic {{indexing_maps = [{", ".join([map_] * (len(operands) + 1))}],
          iterator_types = [{", ".join(['"parallel"'] * len(shape))}]}}
          ins({names} : {", ".join(map(str, types))}) outs(%e : {tensor(shape, result)}) {{
      ^bb0({blocks}, %o: {result}):
        %y = {op}
        linalg.yield %y : {result}
      }} -> {tensor(shape, result)}
      return %r : {tensor(shape, result)}"""
    return evaluate(body, [tensor(shape, result)], *operands, **options)[0]


def slow_sum(terms: Sequence[float], start: float, type_: type = np.float32):
    """A sum as the accelerator's specification words it, number by number."""
    total = type_(start)
    for first in range(0, len(terms), 16):
        group = [type_(term) for term in terms[first : first + 16]]
        group += [type_(0)] * (16 - len(group))
        while len(group) > 1:
            group = [type_(group[i] + group[i + 1]) for i in range(0, len(group), 2)]
        total = type_(total + group[0])
    return total


def to_bf16(value: float) -> np.float32:
    """The nearest bf16 number, ties to even, in exact arithmetic; for numbers that are normal."""
    if value == 0 or not math.isfinite(value):
        return np.float32(value)
    fraction, exponent = math.frexp(float(value))
    return np.float32(math.ldexp(round(fraction * 256), exponent - 8))


def same_bits(found: np.ndarray, expected: np.ndarray) -> bool:
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    return np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()

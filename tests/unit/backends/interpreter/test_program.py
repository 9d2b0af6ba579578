"""The program: memory that callers pass, what is refused, and what can be observed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.backends.interpreter import interpret_step
from ssft.compiler.diagnostics import UserError
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

sys.path.insert(0, str(Path(__file__).parents[1]))

from programs import argument, metric, step


def run(text: str, arrays: list[np.ndarray], outputs: list[np.ndarray], arithmetic="native"):
    program = interpret_step(text, arithmetic)
    program.run([array.ctypes.data for array in [*arrays, *outputs]])
    return program


VECTOR = "tensor<4xf32>"
SWAP = step(
    [argument("a", VECTOR, "trainable"), argument("b", VECTOR, "trainable")],
    [
        f"{VECTOR} {{ssft.updates_arg = 1 : i64}}",
        metric("tensor<2x2xf32>"),
        f"{VECTOR} {{ssft.updates_arg = 0 : i64}}",
        metric("tensor<2xf32>"),
    ],
    f"""
      %c = tensor.expand_shape %a [[0, 1]] output_shape [2, 2] : {VECTOR} into tensor<2x2xf32>
      %d = tensor.extract_slice %b[1] [2] [1] : {VECTOR} to tensor<2xf32>
      return %a, %c, %b, %d : {VECTOR}, tensor<2x2xf32>, {VECTOR}, tensor<2xf32>""",
)


def test_arguments_are_written_after_all_have_been_read():
    """All results are views of arguments; two arguments are swapped."""
    a, b = np.arange(4, dtype=np.float32), np.arange(4, 8, dtype=np.float32)
    outputs = [np.zeros((2, 2), np.float32), np.zeros(2, np.float32)]
    program = run(SWAP, [a, b], outputs)
    assert a.tolist() == [4, 5, 6, 7]
    assert b.tolist() == [0, 1, 2, 3]
    assert outputs[0].tolist() == [[0, 1], [2, 3]]
    assert outputs[1].tolist() == [5, 6]
    assert [info.name for info in program.arguments] == ["a", "b"]
    assert [info.shape for info in program.outputs] == [(2, 2), (2,)]


def test_bf16_is_two_bytes_in_memory():
    type_ = "tensor<3xbf16>"
    text = step(
        [argument("a", type_, "trainable")],
        [f"{type_} {{ssft.updates_arg = 0 : i64}}"],
        f"%r = arith.addf %a, %a : {type_}\nreturn %r : {type_}",
    )
    numbers = np.array([1.0, -2.5, 2.0**-130], np.float32)
    stored = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    run(text, [stored], [])
    assert ((stored.astype(np.uint32) << 16).view(np.float32) == 2 * numbers).all()


def test_tensors_without_elements():
    type_ = "tensor<0x3xf32>"
    body = f"%r = arith.addf %a, %a : {type_}\nreturn %r : {type_}"
    empty = np.zeros((0, 3), np.float32)
    run(step([argument("a", type_)], [metric(type_)], body), [empty], [empty.copy()])


def test_a_module_is_left_as_it_is():
    module = ir.Module.parse(SWAP, new_context())
    before = str(module)
    program = interpret_step(module)
    assert str(module) == before
    del module  # the program holds nothing of it
    first, *_ = program.evaluate([np.ones(4, np.float32), np.zeros(4, np.float32)])
    assert first.tolist() == [1, 1, 1, 1]


def test_all_operations_without_a_rule_are_named_with_counts():
    body = """
      %0 = math.ctlz %a : tensor<2xi32>
      %1 = math.ctlz %0 : tensor<2xi32>
      %2 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
          iterator_types = ["parallel"]} ins(%1 : tensor<2xi32>) outs(%a : tensor<2xi32>) {
      ^bb0(%x: i32, %o: i32):
        %y = math.cttz %x : i32
        linalg.yield %y : i32
      } -> tensor<2xi32>
      %3 = bufferization.alloc_tensor() : tensor<2xi32>
      return %2 : tensor<2xi32>"""
    text = step([argument("a", "tensor<2xi32>")], [metric("tensor<2xi32>")], body)
    with pytest.raises(UserError) as caught:
        interpret_step(text)
    assert caught.value.message == (
        "the interpreter has no rule for 'bufferization.alloc_tensor' (1 times), "
        "'linalg.generic (math.cttz)' (1 times), 'math.ctlz' (2 times)"
    )


def test_unknown_arithmetic():
    with pytest.raises(UserError, match="unknown arithmetic 'f8'"):
        interpret_step(SWAP, "f8")  # type: ignore[arg-type]


def test_wrong_number_of_pointers():
    with pytest.raises(ValueError, match="takes 4 pointers, not 1"):
        interpret_step(SWAP).run([0])


def test_values_are_freed_after_their_last_use():
    body = f"""
      %0 = arith.addf %a, %a : {VECTOR}
      %1 = arith.mulf %0, %a : {VECTOR}
      %2 = arith.addf %1, %1 : {VECTOR}
      %unused = arith.subf %2, %0 : {VECTOR}
      return %2 : {VECTOR}"""
    program = interpret_step(step([argument("a", VECTOR)], [metric(VECTOR)], body))
    seen: list[tuple[str, list[float]]] = []
    (result,) = program.evaluate(
        [np.array([1, 2, 3, 4], np.float32)],
        lambda step, results: seen.append((step.name, results[0].tolist())),
    )
    assert [name for name, _ in seen] == ["arith.addf", "arith.mulf", "arith.addf", "arith.subf"]
    assert seen[1][1] == [2, 8, 18, 32]
    assert result.tolist() == [4, 16, 36, 64]
    freed = [len(step.last) for step in program._code.instructions]
    assert freed == [0, 1, 1, 2]  # %a; %1; and then %0 and what is unused

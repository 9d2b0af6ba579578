"""Steps made to go wrong: tiles, copies and queues that would see each other's writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from accelerator_steps import accelerator, in_random_order, machine, run, same_bits

from ssft.compiler.backends.hw.tiles import own_order
from ssft.compiler.backends.interpreter import interpret_step
from ssft.hwmodel.isa import Gemm, Queue, ScatterAddRows, Vector
from ssft.runtime.accelerator import AcceleratorProgram


def tensor(*shape: int) -> str:
    return f"tensor<{''.join(f'{extent}x' for extent in shape)}f32>"


def plan(arguments: Sequence[str], results: Sequence[str | int], body: str) -> str:
    """Arguments ``%a0``, ...; results ``%r0``, ...: a type, or the argument that is updated."""
    given = ", ".join(
        f'%a{n}: {type_} {{ssft.role = "input", ssft.name = "a{n}"}}'
        for n, type_ in enumerate(arguments)
    )
    types = [arguments[r] if isinstance(r, int) else r for r in results]
    attributes = [
        f"ssft.updates_arg = {r} : i64"
        if isinstance(r, int)
        else 'ssft.role = "metric", ssft.name = "value"'
        for r in results
    ]
    returned = ", ".join(f"{t} {{{a}}}" for t, a in zip(types, attributes, strict=True))
    names = ", ".join(f"%r{n}" for n in range(len(results)))
    return (
        f"module {{\nfunc.func @step({given}) -> ({returned}) {{\n{body}\n"
        f"  return {names} : {', '.join(types)}\n}}\n}}"
    )


def generic(
    name: str, result: str, reads: Sequence[tuple[str, str, str]], written: str, code: str
) -> str:
    """An element-wise operation; `reads` are (value, type, map's results), `code` yields ``%y``."""
    loops = written.count("d")
    domain = ", ".join(f"d{n}" for n in range(loops))
    maps = ", ".join(f"affine_map<({domain}) -> ({m})>" for m in [*(r[2] for r in reads), written])
    kinds = ", ".join(['"parallel"'] * loops)
    block = ", ".join(f"%x{n}: f32" for n in range(len(reads)))
    return f"""
  {name}e = tensor.empty() : {result}
  {name} = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}
      ins({", ".join(r[0] for r in reads)} : {", ".join(r[1] for r in reads)})
      outs({name}e : {result}) {{
  ^bb0({block}, %o: f32):
    {code}
    linalg.yield %y : f32
  }} -> {result}"""


def product(name: str, a: str, b: str, m: int, k: int, n: int) -> str:
    left, right, result = tensor(m, k), tensor(k, n), tensor(m, n)
    return f"""
  {name}z = arith.constant 0.0 : f32
  {name}e = tensor.empty() : {result}
  {name}f = linalg.fill ins({name}z : f32) outs({name}e : {result}) -> {result}
  {name} = linalg.matmul ins({a}, {b} : {left}, {right}) outs({name}f : {result}) -> {result}"""


TANH = "%y = math.tanh %x0 : f32"
ADD = "%y = arith.addf %x0, %x1 : f32"


def check(
    text: str, *arguments: np.ndarray, size: int | None = None, preset: str = "ssft-server"
) -> AcceleratorProgram:
    program = accelerator(text, machine(preset, size))
    expected = run(interpret_step(text, "bf16"), arguments)
    for one in (program, *(in_random_order(program, seed) for seed in range(3))):
        found = run(one, arguments)
        assert [same_bits(a, b) for a, b in zip(found, expected, strict=True)] == [True] * len(
            found
        )
    return program


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("size", [None, 2048])
def test_arguments_that_are_exchanged(size):
    """Both new values are read before either is written; one is a transpose of its own old one."""
    square = tensor(24, 24)
    body = f"""
  %r0 = tensor.extract_slice %a1[0, 0] [24, 24] [1, 1] : {square} to {square}
  %r1 = tensor.extract_slice %a0[0, 0] [24, 24] [1, 1] : {square} to {square}
  %e = tensor.empty() : {square}
  %r2 = linalg.transpose ins(%a2 : {square}) outs(%e : {square}) permutation = [1, 0]
  %r3 = tensor.collapse_shape %a0 [[0, 1]] : {square} into {tensor(576)}"""
    text = plan([square] * 3, [0, 1, 2, tensor(576)], body)
    check(text, *(numbers(24, 24) + n for n in range(3)), size=size)


@pytest.mark.parametrize("size", [None, 2048, 4096])
def test_a_new_value_made_of_the_transposed_old_one(size):
    """Written home tile by tile, the second tile would read what the first has written."""
    square = tensor(32, 32)
    reads = [("%a0", square, "d1, d0"), ("%a0", square, "d0, d1")]
    text = plan([square], [0], generic("%r0", square, reads, "d0, d1", ADD))
    check(text, numbers(32, 32), size=size)


@pytest.mark.parametrize("size", [None, 8192])
def test_a_new_value_made_by_a_product_of_the_old_one(size):
    text = plan([tensor(64, 64)], [0], product("%r0", "%a0", "%a0", 64, 64, 64))
    check(text, numbers(64, 64), size=size)


def test_the_old_and_the_new_value_as_results():
    """What is looked up stays in the scratchpad; the update is in DRAM."""
    square, picked = tensor(8, 8), tensor(8)
    body = f"""
  %e = tensor.empty() : {picked}
  %p = linalg.generic {{indexing_maps = [affine_map<(d0) -> (d0)>],
      iterator_types = ["parallel"]}} outs(%e : {picked}) {{
  ^bb0(%o: f32):
    %j = linalg.index 0 : index
    %y = tensor.extract %a0[%j, %j] : {square}
    linalg.yield %y : f32
  }} -> {picked}
  %r1 = tensor.extract_slice %p[0] [8] [1] : {picked} to {picked}
  %q = tensor.extract_slice %a0[0, 0] [2, 8] [1, 1] : {square} to {tensor(2, 8)}
  {generic("%n", tensor(2, 8), [("%q", tensor(2, 8), "d0, d1")], "d0, d1", TANH)}
  %r0 = tensor.insert_slice %n into %a0[0, 0] [2, 8] [1, 1] : {tensor(2, 8)} into {square}
  %r2 = tensor.collapse_shape %r0 [[0, 1]] : {square} into {tensor(64)}
  %f = tensor.empty() : {picked}
  %r3 = linalg.generic {{indexing_maps = [affine_map<(d0) -> (d0)>],
      iterator_types = ["parallel"]}} outs(%f : {picked}) {{
  ^bb0(%o: f32):
    %j = linalg.index 0 : index
    %y = tensor.extract %r0[%j, %j] : {square}
    linalg.yield %y : f32
  }} -> {picked}"""
    check(plan([square], [0, picked, tensor(64), picked], body), numbers(8, 8))


def test_a_table_that_a_product_replaces():
    square = tensor(16, 16)
    body = f"""
  %e = tensor.empty() : {square}
  %p = linalg.generic {{indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]}} outs(%e : {square}) {{
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %y = tensor.extract %a0[%j, %i] : {square}
    linalg.yield %y : f32
  }} -> {square}
  {product("%r0", "%p", "%p", 16, 16, 16)}"""
    program = check(plan([square], [0], body), numbers(16, 16))
    assert any(isinstance(c, Gemm) for c in program.program.queues[Queue.TENSOR])


def test_operands_that_meet_in_one_tile():
    """Every tile adds a row of its own and the row 5, which is its own in just one of them."""
    wide, row, turned = tensor(16, 8192), tensor(1, 8192), tensor(8192, 16)
    body = f"""
  %s = tensor.extract_slice %a0[5, 0] [1, 8192] [1, 1] : {wide} to {row}
  {generic("%r0", wide, [("%a0", wide, "d0, d1"), ("%s", row, "0, d1")], "d0, d1", ADD)}
  {generic("%r1", turned, [("%a0", wide, "d1, d0")], "d0, d1", TANH)}"""
    text = plan([wide], [wide, turned], body)
    program = check(text, numbers(16, 8192), size=600 << 10)
    assert ("a0", 4 * 16 * 8192) in {(slot.name, slot.bytes) for slot in program.program.spm}
    commands = [c for c in program.program.queues[Queue.VECTOR] if isinstance(c, Vector)]
    assert len(commands) >= 16


def scaled_by_its_sum(name: str, source: str, rows: int, columns: int) -> str:
    """Each row plus its sum."""
    whole, sums = tensor(rows, columns), tensor(rows)
    return f"""
  {name}z = arith.constant 0.0 : f32
  {name}g = tensor.empty() : {sums}
  {name}f = linalg.fill ins({name}z : f32) outs({name}g : {sums}) -> {sums}
  {name}s = linalg.generic {{indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>,
      affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}}
      ins({source} : {whole}) outs({name}f : {sums}) {{
  ^bb0(%x: f32, %o: f32):
    %y = arith.addf %o, %x : f32
    linalg.yield %y : f32
  }} -> {sums}
  {generic(name, whole, [(source, whole, "d0, d1"), (f"{name}s", sums, "d0")], "d0, d1", ADD)}"""


@pytest.mark.parametrize("size", [2400, 4096, None])
def test_a_value_whose_parts_come_from_two_kernels(size):
    """In 2400 bytes no kernel has room for rows of everything: each writes its columns only."""
    half, both = tensor(8, 24), tensor(8, 48)
    body = f"""
  {scaled_by_its_sum("%p", "%a0", 8, 24)}
  {scaled_by_its_sum("%q", "%a1", 8, 24)}
  %c = tensor.concat dim(1) %p, %q : ({half}, {half}) -> {both}
  {product("%r0", "%c", "%a2", 8, 48, 16)}"""
    text = plan([half, half, tensor(48, 16)], [tensor(8, 16)], body)
    check(text, numbers(8, 24), numbers(8, 24) + 1, numbers(48, 16), size=size)


@pytest.mark.parametrize("size", [8192, 40960, None])
def test_products_are_added_to_what_there_is(size):
    """Cut along k and not, in the scratchpad and in DRAM."""
    a, b, c = tensor(48, 400), tensor(400, 40), tensor(48, 40)
    body = f"""
  %p = linalg.matmul ins(%a0, %a1 : {a}, {b}) outs(%a2 : {c}) -> {c}
  %r0 = linalg.matmul ins(%a0, %a1 : {a}, {b}) outs(%p : {c}) -> {c}"""
    arguments = numbers(48, 400), numbers(400, 40), numbers(48, 40)
    check(plan([a, b, c], [c], body), *arguments, size=size)


def test_loops_to_sum_over_that_lie_differently_in_each_factor(monkeypatch):
    """Three times 200 tokens, in one factor interleaved: a tile has whole sentences."""
    # Windows have all that is summed in each tile.
    monkeypatch.setattr(own_order, "search_windows", lambda *_: None)
    a, b, c = tensor(200, 3, 40), tensor(3, 200, 48), tensor(40, 48)
    maps = ["d2, d1, d0", "d1, d2, d3", "d0, d3"]
    text = ", ".join(f"affine_map<(d0, d1, d2, d3) -> ({m})>" for m in maps)
    body = f"""
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : {c}
  %f = linalg.fill ins(%z : f32) outs(%e : {c}) -> {c}
  %r0 = linalg.generic {{indexing_maps = [{text}],
      iterator_types = ["parallel", "reduction", "reduction", "parallel"]}}
      ins(%a0, %a1 : {a}, {b}) outs(%f : {c}) {{
  ^bb0(%x: f32, %y: f32, %o: f32):
    %p = arith.mulf %x, %y : f32
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  }} -> {c}"""
    program = check(
        plan([a, b], [c], body), numbers(200, 3, 40), numbers(3, 200, 48), size=80 << 10
    )
    gemms = [x for x in program.program.queues[Queue.TENSOR] if isinstance(x, Gemm)]
    assert any(command.accumulate for command in gemms)


@pytest.mark.parametrize("size", [8192, 16384, None])
@pytest.mark.parametrize("tokens", [(3, 200), (2, 9, 24), (600,)])
def test_sums_of_products_keep_their_groups_of_sixteen(tokens, size):
    """Sentences of 200 tokens end within a group; so must tiles not."""
    dy, y = tensor(*tokens, 40), tensor(*tokens, 48)
    body = f'  %r0 = "ssft.weight_grad"(%a0, %a1) : ({dy}, {y}) -> {tensor(40, 48)}'
    text = plan([dy, y], [tensor(40, 48)], body)
    check(text, numbers(*tokens, 40), numbers(*tokens, 48), size=size)


@pytest.mark.parametrize("size", [3072, 4096, None])
@pytest.mark.parametrize("tokens", [(3, 24), (5, 40), (2, 3, 20), (100,)])
def test_sums_keep_their_groups_of_sixteen(tokens, size):
    value, total = tensor(*tokens, 16), tensor(16)
    domain = ", ".join(f"d{n}" for n in range(len(tokens) + 1))
    kinds = ", ".join(['"reduction"'] * len(tokens))
    body = f"""
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : {total}
  %f = linalg.fill ins(%z : f32) outs(%e : {total}) -> {total}
  %r0 = linalg.generic {{indexing_maps = [affine_map<({domain}) -> ({domain})>,
      affine_map<({domain}) -> (d{len(tokens)})>], iterator_types = [{kinds}, "parallel"]}}
      ins(%a0 : {value}) outs(%f : {total}) {{
  ^bb0(%x: f32, %o: f32):
    %y = arith.addf %o, %x : f32
    linalg.yield %y : f32
  }} -> {total}"""
    check(plan([value], [total], body), numbers(*tokens, 16), size=size)


def test_two_parts_of_one_list():
    """Rows by the first half of a list and by the second, added."""
    table, rows = tensor(20, 8), tensor(4, 8)
    body = f"""
  %i = tensor.extract_slice %a1[0] [4] [1] : tensor<9xi64> to tensor<4xi64>
  %j = tensor.extract_slice %a1[5] [4] [1] : tensor<9xi64> to tensor<4xi64>
  %k = tensor.extract_slice %a1[0] [4] [2] : tensor<9xi64> to tensor<4xi64>
  %p = "ssft.gather"(%a0, %i) {{dim = 0 : i64}} : ({table}, tensor<4xi64>) -> {rows}
  %q = "ssft.gather"(%a0, %j) {{dim = 0 : i64}} : ({table}, tensor<4xi64>) -> {rows}
  %s = "ssft.gather"(%a0, %k) {{dim = 0 : i64}} : ({table}, tensor<4xi64>) -> {rows}
  {generic("%t", rows, [("%p", rows, "d0, d1"), ("%q", rows, "d0, d1")], "d0, d1", ADD)}
  {generic("%r0", rows, [("%t", rows, "d0, d1"), ("%s", rows, "d0, d1")], "d0, d1", ADD)}"""
    text = plan([table, "tensor<9xi64>"], [rows], body)
    check(text, numbers(20, 8), np.array([3, 19, 0, 7, 7, 1, 2, 18, 5]))


def test_numbers_of_the_plan_that_only_products_use():
    """They are stored in bf16, as what the tensor unit reads."""
    values = np.round(numbers(8, 4), 3).astype(object).tolist()
    constant = f"  %c = arith.constant dense<{values}> : {tensor(8, 4)}"
    body = f"{constant}{product('%r0', '%a0', '%c', 16, 8, 4)}"
    check(plan([tensor(16, 8)], [tensor(16, 4)], body), numbers(16, 8))


def test_an_argument_that_is_its_own_new_value():
    """Only products read it, from a copy in bf16; the host must find it as it was."""
    body = f"""{product("%r0", "%a0", "%a1", 16, 16, 8)}
  %r1 = tensor.extract_slice %a0[0, 0] [16, 16] [1, 1] : {tensor(16, 16)} to {tensor(16, 16)}"""
    check(plan([tensor(16, 16), tensor(16, 8)], [tensor(16, 8), 0], body),
          numbers(16, 16), numbers(16, 8))  # fmt: skip


@pytest.mark.parametrize("view", ["drop", "collapse", "expand", "pick"])
def test_a_single_looked_up_row_in_other_shapes(view):
    """The dimension of extent 1 that shapes come and go with is the one that has the list."""
    table, row = tensor(9, 8), tensor(1, 8)
    shapes = {"drop": (8,), "collapse": (8,), "expand": (1, 1, 8), "pick": ()}
    views = {
        "drop": f"tensor.extract_slice %g[0, 0] [1, 8] [1, 1] : {row} to {tensor(8)}",
        "collapse": f"tensor.collapse_shape %g [[0, 1]] : {row} into {tensor(8)}",
        "expand": f"tensor.expand_shape %g [[0, 1], [2]] output_shape [1, 1, 8] : {row} "
        f"into {tensor(1, 1, 8)}",
        "pick": f"tensor.extract_slice %g[0, 3] [1, 1] [1, 1] : {row} to {tensor()}",
    }
    body = f"""
  %g = "ssft.gather"(%a0, %a1) {{dim = 0 : i64}} : ({table}, tensor<1xi64>) -> {row}
  %r0 = {views[view]}"""
    check(
        plan([table, "tensor<1xi64>"], [tensor(*shapes[view])], body), numbers(9, 8), np.array([6])
    )


@pytest.mark.parametrize("size", [64 * 1024, 6 * 1024, 3 * 1024])
def test_sums_into_rows_in_pieces(size):
    """Neither the table nor the rows to add fit; some rows get sums from several pieces."""
    table, rows = tensor(24, 32), tensor(48, 32)
    list_type = "tensor<48xi64>"
    body = f"""
  %r0 = "ssft.scatter_add"(%a0, %a1, %a2) {{dim = 0 : i64}}
      : ({table}, {list_type}, {rows}) -> {table}"""
    index = np.random.default_rng(5).integers(0, 24, 48)
    index[40:] = index[:8]
    text = plan([table, list_type, rows], [table], body)
    check(text, numbers(24, 32), index, numbers(48, 32), size=size)
    if size == 3 * 1024:
        queue = accelerator(text, machine(scratchpad=size)).program.queues[Queue.VECTOR]
        added = [command for command in queue if isinstance(command, ScatterAddRows)]
        assert {c.first for c in added} != {0} and all(c.count < 48 for c in added)

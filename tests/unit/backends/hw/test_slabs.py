"""Tiles of different sizes: they cover a product, say how long it takes, and change no bit."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from accelerator_products import LAYOUTS, half_precision, operands, product
from accelerator_steps import accelerator, in_random_order, run, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.backends.hw import compile, compile_program
from ssft.compiler.backends.hw.tiles import own_order
from ssft.compiler.backends.hw.tiles.bound import fewest_cycles
from ssft.compiler.backends.hw.tiles.boxes import Box
from ssft.compiler.backends.hw.tiles.slab_space import Cuts, SlabSpace
from ssft.compiler.backends.hw.tiles.slabs import Slabs, search_slabs
from ssft.compiler.backends.hw.tiles.timeline import Load, Product, Result, finish
from ssft.compiler.backends.interpreter import interpret_step
from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.isa import Gemm, Program, Queue
from ssft.hwmodel.isa.dtypes import DType
from ssft.hwmodel.timing.events import simulate

A100 = load_machine("ssft-a100area")
SMALL = load_machine(
    "ssft-server", ["tensor.pes=2", "dram.bandwidth=60e9", "scratchpad.bytes=4000000"]
)
"""Few lanes: a small product is limited by them."""


def searched(layout: str, m: int, n: int, k: int, machine: Machine, c: DType = "f32") -> Slabs:
    found = search_slabs(("m", "n", "k"), *operands(layout, m, n, k, c), machine)
    assert found is not None
    return found


def ranges(box: Box) -> list[slice]:
    return [slice(at, at + size) for at, size in zip(box.starts, box.sizes, strict=True)]


def gemms(program: Program) -> int:
    return sum(isinstance(command, Gemm) for command in program.queues[Queue.TENSOR])


@pytest.mark.parametrize("c", ["f32", "bf16"])
@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=4, deadline=None)
@given(st.integers(2, 150), st.integers(2, 150), st.integers(2, 150))
def test_each_product_is_computed_once_in_the_order_of_k(layout, c, m, n, k) -> None:
    found = searched(layout, m, n, k, SMALL, c)
    done = np.zeros((m, n), dtype=int)
    loaded = np.zeros((n, k), dtype=int)
    for box in found.boxes:
        for name, part in box.loads:
            assert name == found.joined == "b"
            loaded[tuple(ranges(part)[1:])] += 1
        rows, columns, depth = ranges(box)
        part = done[rows, columns]
        assert (part == depth.start).all()
        assert depth.stop == k or depth.stop % 16 == 0
        assert box.first == (depth.start == 0)
        assert box.last == (depth.stop == k)
        part[...] = depth.stop
        assert found.joined is None or (loaded[columns, depth] == 1).all()
    assert (done == k).all()
    assert found.cycles >= fewest_cycles(
        SMALL, m * n * k, 2 * (m + n) * k, m * n * (4 if c == "f32" else 2)
    )


def test_commands_of_a_queue_follow_each_other() -> None:
    """Two loads, a product that needs both, a store: issue 10, latency 70."""
    assert finish([Load(100), Load(50)], [Product(400, 2)], [Result(30, 0, 0)], 10, 70) == (
        10 + 100 + 10 + 50 + 70 + 400 + 30 + 70
    )
    assert finish([Load(100), Load(50)], [Product(400, 2)], [], 10, 70) == 640
    # The first product needs one load only, the second has been loaded when it issues.
    two = [Product(400, 1), Product(300, 2)]
    assert finish([Load(100), Load(50)], two, [Result(30, 1, 5)], 10, 70) == (
        10 + 100 + 70 + 400 + 10 + 300 + 5 + 30 + 70
    )


def test_loads_and_stores_share_the_bandwidth() -> None:
    """A store starts in the middle of a load: each moves at half the rate until one ends."""
    first, second = Product(100, 1), Product(100, 2)
    cycles = finish(
        [Load(10), Load(400)], [first, second], [Result(100, 0, 0), Result(7, 1, 0)], 10, 70
    )
    # At 190 the first store starts, and takes 200 cycles for 100; the load needs 100 more.
    assert cycles == (30 + 400 + 100) + 70 + 100 + 7 + 70


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_cold_product_with_a_bf16_result_keeps_the_tensor_unit_busy(layout: str) -> None:
    """1024 x 1024 x 1024 in half precision, all in DRAM; no schedule gets to more than 0.891."""
    program = compile_program(half_precision(layout, 1024, 1024, 1024), A100)
    cycles = simulate(program, A100).cycles
    ideal = 1024**3 / A100.peak_macs_per_cycle
    assert ideal / cycles >= 0.85
    assert 0.89 < ideal / fewest_cycles(A100, 1024**3, 4 << 20, 2 << 20) < 0.892


@pytest.mark.parametrize(
    ("layout", "least"), [("nt", 0.844), ("nn", 0.851), ("tt", 0.842), ("tn", 0.859)]
)
def test_a_cold_product_keeps_the_tensor_unit_busy(layout: str, least: float) -> None:
    """1024 x 1024 x 1024, with all of its operands and its result in DRAM; equal tiles reach 0.71.

    The lower bound says that no schedule gets to more than 0.881.
    """
    program = compile_program(product(layout, 1024, 1024, 1024), A100)
    cycles = simulate(program, A100).cycles
    assert cycles == searched(layout, 1024, 1024, 1024, A100).cycles
    ideal = 1024**3 / A100.peak_macs_per_cycle
    assert ideal / cycles >= least
    bound = fewest_cycles(A100, 1024**3, 4 << 20, 4 << 20)
    assert 0.88 < ideal / bound < 0.882


def test_more_commands_let_more_overlap_until_they_cost_more() -> None:
    """The bound of a product with hardly any traffic is one command; transfers need several."""
    work = 1024**3 / A100.peak_macs_per_cycle
    single = 2 * 70 + work + 16 + 32 + 10
    assert single <= fewest_cycles(A100, 1024**3, 64, 64) < single + 1
    assert fewest_cycles(A100, 1024**3, 1 << 20, 1 << 20) > single + 58
    # Where DRAM is the limit, the bound is its time.
    stream = A100.dram.bandwidth / A100.clock.frequency * A100.dram.efficiency.stream
    assert fewest_cycles(A100, 1, 1 << 30, 64) == pytest.approx(10 + (1 << 30) / stream + 70)


def test_a_narrow_result_of_several_slabs_is_rounded_before_it_is_stored() -> None:
    slow = load_machine("ssft-a100area", ["vector.startup_cycles=116"])
    whole, cut = Cuts((), (), ()), Cuts((8,), (), (1,))
    for c, later in (("f32", 0), ("bf16", 100)):
        spaces = [
            SlabSpace(("m", "n", "k"), *operands("nt", 512, 512, 512, c), machine)  # type: ignore
            for machine in (A100, slow)
        ]
        assert spaces[1].cycles(whole) == spaces[0].cycles(whole)
        assert spaces[1].cycles(cut) == spaces[0].cycles(cut) + later


def arrays(*shapes: tuple[int, ...]) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for shape in shapes:
        yield random.standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("precision", ["bf16", "f32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_are_the_same_bits(layout: str, precision) -> None:
    """Extents that no granule divides; sums go through several commands of different sizes."""
    m, n, k = 264, 200, 232
    text = product(layout, m, n, k)
    a_inner, b_inner = LAYOUTS[layout]
    arguments = list(arrays((m, k) if a_inner else (k, m), (n, k) if b_inner else (k, n)))
    program = accelerator(text, SMALL, precision)
    sizes = {shape.extent("k") for shape in program.program.contractions}
    assert len(sizes) > 1, "k is cut into slabs of different sizes"
    (expected,) = run(interpret_step(text, precision), arguments)
    for one in (program, *(in_random_order(program, seed) for seed in range(3))):
        (found,) = run(one, arguments)
        assert same_bits(found, expected)


def contract(loops: dict[str, int], a: str, b: str, c: str) -> str:
    """A plan that sums the products of two operands over the loops that the result lacks."""
    types = ["x".join(str(loops[loop]) for loop in operand) + "xf32" for operand in (a, b, c)]
    a_type, b_type, c_type = (f"tensor<{type_}>" for type_ in types)
    maps = ", ".join(
        f"affine_map<({', '.join(loops)}) -> ({', '.join(operand)})>" for operand in (a, b, c)
    )
    kinds = ", ".join('"parallel"' if loop in c else '"reduction"' for loop in loops)
    return f"""
module attributes {{ssft.version = 1 : i64}} {{
  func.func @step(%a: {a_type} {{ssft.role = "frozen", ssft.name = "a"}},
                  %b: {b_type} {{ssft.role = "frozen", ssft.name = "b"}})
      -> ({c_type} {{ssft.role = "loss"}}) {{
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : {c_type}
    %start = linalg.fill ins(%zero : f32) outs(%empty : {c_type}) -> {c_type}
    %c = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}
        ins(%a, %b : {a_type}, {b_type}) outs(%start : {c_type}) {{
    ^bb0(%x: f32, %y: f32, %sum: f32):
      %xy = arith.mulf %x, %y : f32
      %more = arith.addf %sum, %xy : f32
      linalg.yield %more : f32
    }} -> {c_type}
    return %c : {c_type}
  }}
}}"""


@pytest.mark.parametrize(
    ("a", "b", "c"),
    [
        pytest.param("mk", "kn", "nm", id="transposed result"),
        pytest.param("kxm", "nkx", "mn", id="two loops of k, far apart in one factor"),
        pytest.param("mxk", "kn", "mxn", id="two loops of m"),
        pytest.param("mxk", "kn", "xmn", id="two loops of m, swapped in the result"),
        pytest.param("mxk", "kn", "mnx", id="two loops of m around n"),
    ],
)
def test_results_of_other_shapes_are_the_same_bits(a: str, b: str, c: str) -> None:
    loops = (
        {"m": 33, "x": 8, "n": 200, "k": 232} if "x" in a + b else {"m": 264, "n": 200, "k": 232}
    )
    if "x" in b:
        loops |= {"m": 264, "k": 29}
    text = contract(loops, a, b, c)
    arguments = list(arrays(*(tuple(loops[loop] for loop in operand) for operand in (a, b))))
    program = accelerator(text, SMALL)
    assert len({shape.dims for shape in program.program.contractions}) > 2
    (expected,) = run(interpret_step(text, "bf16"), arguments)
    for one in (program, *(in_random_order(program, seed) for seed in range(3))):
        (found,) = run(one, arguments)
        assert same_bits(found, expected)


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_loops_gives_the_same_bits(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dimensions of one or two loops, in any order in each operand."""
    monkeypatch.setattr(own_order, "SLABS_GAIN", 3.0)  # also where equal tiles are better
    random = Random(seed)
    loops: dict[str, int] = {}
    for name, extents in (("m", (130, 264)), ("n", (130, 200)), ("k", (96, 232))):
        extent, inner = random.choice(extents), random.choice((1, 2, 4, 8))
        loops |= {name: extent // inner, name.upper(): inner}
    a, b, c = (
        "".join(random.sample(names, len(names)))
        for names in (["m", "M", "k", "K"], ["n", "N", "k", "K"], ["m", "M", "n", "N"])
    )
    text = contract(loops, a, b, c)
    arguments = list(arrays(*(tuple(loops[loop] for loop in operand) for operand in (a, b))))
    program = accelerator(text, SMALL)
    (expected,) = run(interpret_step(text, "bf16"), arguments)
    for one in (program, in_random_order(program, seed)):
        (found,) = run(one, arguments)
        assert same_bits(found, expected)


@pytest.mark.parametrize("layout", ["nt", "nn"])
def test_sums_of_narrow_results_stay_wide(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that only the tensor unit reads is stored as bf16, once it is complete."""
    monkeypatch.setattr(compile, "SHARES", ((0.0, 0.5),))  # nothing stays in the scratchpad
    m, n, k = 264, 200, 232
    text = product(layout, m, n, k)
    square = f"tensor<{m}x{n}xf32>"
    text = text.replace(
        f"return %c : {square}",
        f"""%weight = arith.constant dense<1.0> : tensor<{n}x{n}xf32>
    %d = linalg.matmul ins(%c, %weight : {square}, tensor<{n}x{n}xf32>)
        outs(%start : {square}) -> {square}
    return %d : {square}""",
    )
    _, b_inner = LAYOUTS[layout]
    arguments = list(arrays((m, k), (n, k) if b_inner else (k, n)))
    program = accelerator(text, SMALL)
    converted = [micro.kind for micro in program.program.micro_programs]
    assert converted.count("convert") > 1, "chunks of different sizes are rounded"
    (expected,) = run(interpret_step(text, "bf16"), arguments)
    for one in (program, *(in_random_order(program, seed) for seed in range(3))):
        (found,) = run(one, arguments)
        assert same_bits(found, expected)


def test_neighbours_that_keep_operands_in_the_scratchpad_keep_equal_tiles() -> None:
    """What the next product reads stays, and equal tiles let both overlap."""
    m = n = k = 256
    text = product("nn", m, n, k)
    square = f"tensor<{m}x{n}xf32>"
    chained = text.replace(
        f"return %c : {square}",
        f"""%d = linalg.matmul ins(%c, %b : {square}, {square}) outs(%start : {square}) -> {square}
    return %d : {square}""",
    )
    sizes = [shape.extent("k") for shape in compile_program(chained, SMALL).contractions]
    assert set(sizes) == {k}
    alone = compile_program(text, SMALL)
    assert gemms(alone) > len({shape.extent("k") for shape in alone.contractions}) > 1


def test_the_same_arguments_give_the_same_tiling() -> None:
    first = searched("nn", 300, 300, 300, SMALL)
    search_slabs.cache_clear()  # type: ignore[attr-defined]
    second = searched("nn", 300, 300, 300, SMALL)
    assert first is not second
    assert first == second

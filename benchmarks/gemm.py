"""Speed of matrix products: the emitted code against BLAS, interleaved in one process.

BLAS is what ``torch.mm`` calls, and OpenBLAS if scipy-openblas32 is installed. Prints GF/s (medians
over ``--rounds`` rounds), the spread of the emitted code (10 % to 90 % quantile, in percent of the
median) and its speed relative to each rival (median of the ratios of each round). With one thread
the clock is the thread's CPU time, so that a busy machine disturbs little; else it is wall time.

``--dtype bf16``, and ``--precision high`` or ``medium`` of f32 products, are for the matrix unit,
PyTorch's and ours; bf16 products have a second contender, whose results are f32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import torch

from ssft.compiler.backends.cpu.gemm import PRECISIONS, emitted, isa, standalone, tuning
from ssft.compiler.backends.cpu.gemm.form import Axis, Product

SQUARE = (256, 384, 512, 768, 1024, 1536, 2048)
TOKENS = 512
# Inputs and outputs of the linear layers of two Llamas.
LAYERS = (
    (256, 256),
    (256, 704),
    (704, 256),
    (256, 4096),
    (1024, 1024),
    (1024, 2752),
    (2752, 1024),
    (1024, 8192),
)
HEADS = ((32, 128, 32), (32, 256, 64))  # batch times heads, tokens, head size
SLICES = (51, 138)  # columns of a weight that are trained
SECONDS = 3e-3  # a timed run repeats small products for so long
OPENBLAS_CORES = {"avx512": "SkylakeX", "avx2": "Haswell"}
SPEED = 1.5e11  # operations per second, about


@dataclass(frozen=True)
class Case:
    """A batch of products ``C = A B``; `kind` says which operands are stored transposed."""

    group: str
    kind: str
    m: int
    n: int
    k: int
    batch: int = 1

    @property
    def operations(self) -> int:
        return 2 * self.m * self.n * self.k * self.batch

    def operands(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        def matrix(rows: int, columns: int, transposed: bool) -> torch.Tensor:
            shape = (self.batch, *((columns, rows) if transposed else (rows, columns)))
            stored = torch.randn(shape).to(dtype)
            return stored.transpose(1, 2) if transposed else stored

        a = matrix(self.m, self.k, self.kind[0] == "T")
        b = matrix(self.k, self.n, self.kind[1] == "T")
        return a, b, torch.empty(self.batch, self.m, self.n, dtype=dtype)

    def product(self, operands: str, result: str) -> Product:
        a, b, c = self.operands_strides()
        outer = (Axis(self.batch, a[0], b[0], c[0]),) if self.batch > 1 else ()
        m, n = Axis(self.m, a[1], 0, c[1]), Axis(self.n, 0, b[2], c[2])
        return Product(result, m, n, Axis(self.k, a[2], b[1]), outer, False, operands)

    def operands_strides(self) -> tuple[tuple[int, ...], ...]:
        def strides(rows: int, columns: int, transposed: bool) -> tuple[int, int, int]:
            return (rows * columns, 1, rows) if transposed else (rows * columns, columns, 1)

        return (
            strides(self.m, self.k, self.kind[0] == "T"),
            strides(self.k, self.n, self.kind[1] == "T"),
            strides(self.m, self.n, False),
        )


def cases(groups: list[str]) -> Iterator[Case]:
    found = [Case("square", kind, n, n, n) for n in SQUARE for kind in ("NT", "NN", "TN")]
    for inputs, outputs in LAYERS:
        found.append(Case("forward", "NT", TOKENS, outputs, inputs))
        found.append(Case("input gradient", "NN", TOKENS, inputs, outputs))
        found.append(Case("weight gradient", "TN", outputs, inputs, TOKENS))
    for batch, tokens, size in HEADS:
        found.append(Case("attention", "NT", tokens, tokens, size, batch))
        found.append(Case("attention", "NN", tokens, size, tokens, batch))
        found.append(Case("attention", "TN", tokens, size, tokens, batch))
    for columns in SLICES:
        found.append(Case("slice", "TN", 1024, columns, TOKENS))
        found.append(Case("slice", "TN", columns, 1024, TOKENS))
    return (case for case in found if not groups or case.group in groups)


def openblas() -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Callable[[], None]] | None:
    """A maker of calls of OpenBLAS on single matrices, if scipy-openblas32 is installed.

    It does not know all processors, and then takes kernels for an older one: they are named here,
    unless the environment does.
    """
    try:
        import scipy_openblas32
    except ImportError:
        return None
    import ctypes

    best = isa.select("auto")
    if best is not None:
        os.environ.setdefault("OPENBLAS_CORETYPE", OPENBLAS_CORES[best.name])
    folder = Path(scipy_openblas32.get_lib_dir())
    library = ctypes.CDLL(str(next(folder.glob("libscipy_openblas*.so"))))
    library.scipy_openblas_set_num_threads(torch.get_num_threads())

    def bind(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> Callable[[], None]:
        flags = [112 if x.stride(-1) == 1 else 111 for x in (a, b)]
        flags = [223 - flag for flag in flags]  # CblasNoTrans is 111, CblasTrans 112
        leading = [max(x.stride()[-2:]) for x in (a, b, c)]
        (m, k), n, real = a.shape[-2:], b.shape[-1], ctypes.c_float
        pointers = [ctypes.c_void_p(x.data_ptr()) for x in (a, b, c)]
        return lambda: library.scipy_cblas_sgemm(
            101, *flags, m, n, k, real(1), pointers[0], leading[0], pointers[1], leading[1],
            real(0), pointers[2], leading[2],
        )  # fmt: skip

    return bind


def bind(
    product: Product, host: isa.Isa, options: argparse.Namespace, arrays: tuple[torch.Tensor, ...]
) -> tuple[Callable[[], None], str]:
    """A call of our code, and the variant that was chosen."""
    variant = "default"
    if options.tune and not isinstance(host, isa.Amx):
        variant = tuning.tuner(host, options.threads, None).choose(product)
        variant = "default" if variant == tuning.BLAS else variant
    wanted = emitted.oriented(product)
    assert wanted is not None
    blocks = tuning.blocks_of(variant, wanted, host)
    types = standalone.operand_types(product.types)
    kernel = emitted.emit("product", product, types, host, options.threads, blocks)
    assert kernel is not None
    code = standalone.Kernels([kernel])
    return code.bind("product", [x.data_ptr() for x in arrays]), variant


def measure(case: Case, options: argparse.Namespace, host: isa.Isa) -> dict[str, Any]:
    half = options.dtype == "bf16"
    a, b, c = case.operands(torch.bfloat16 if half else torch.float32)
    d = torch.empty_like(c)
    ours, variant = bind(case.product("", options.dtype), host, options, (a, b, c))
    contenders: dict[str, Callable[[], Any]] = {
        "emitted": ours,
        "torch": lambda: torch.bmm(a, b, out=d),
    }
    if half:
        wide = c.float()
        contenders["to f32"] = bind(case.product("bf16", "f32"), host, options, (a, b, wide))[0]
    if case.batch == 1:
        contenders["torch"] = lambda: torch.mm(a[0], b[0], out=d[0])
    other = None if half else openblas()
    if other is not None and case.batch == 1:
        contenders["openblas"] = other(a[0], b[0], d[0])
    clock = thread_time if options.threads == 1 else perf_counter
    times: dict[str, list[float]] = {name: [] for name in contenders}
    repeats = max(1, int(SECONDS * SPEED * options.threads / case.operations))
    for number in range(options.rounds + 1):
        for name, run in contenders.items():
            start = clock()
            for _ in range(repeats):
                run()
            if number:  # the first round warms up
                times[name].append((clock() - start) / repeats)
    wanted = a.double() @ b.double()
    speeds = {x: case.operations / statistics.median(t) / 1e9 for x, t in times.items()}
    low, *_, high = statistics.quantiles(times["emitted"], n=10, method="inclusive")
    return {
        **vars(case),
        "variant": variant,
        "gflops": speeds,
        "spread": (high - low) / statistics.median(times["emitted"]),
        "ratios": {
            name: statistics.median(
                theirs / ours for theirs, ours in zip(times[name], times["emitted"], strict=True)
            )
            for name in contenders
            if name != "emitted"
        },
        "error": float((c - wanted).abs().max() / wanted.abs().max()),
    }


def show(entry: dict[str, Any]) -> None:
    shape = f"{entry['m']} x {entry['n']} x {entry['k']}"
    shape = f"{entry['batch']} x [{shape}]" if entry["batch"] > 1 else shape
    speeds = " ".join(f"{name} {value:6.1f}" for name, value in entry["gflops"].items())
    ratios = " ".join(f"/{name} {value:5.2f}" for name, value in entry["ratios"].items())
    print(
        f"{entry['group']:16}{entry['kind']} {shape:24} {speeds}  +-{entry['spread']:4.0%}"
        f"  {ratios}  {entry['variant']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--isa", default="auto")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--precision", choices=PRECISIONS, default="highest", help="of f32")
    parser.add_argument(
        "--tune", action="store_true", help="measure variants first, as 'auto' does"
    )
    parser.add_argument("--group", action="append", default=[], help="only this group of shapes")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision(options.precision)
    host = isa.select(options.isa)
    planes = 1 if options.dtype == "bf16" else PRECISIONS[options.precision]
    if planes and options.isa == "auto":
        host = isa.matrix_unit(planes) or host
    if host is None:
        parser.error("no code is emitted for this processor")
    entries = []
    for case in cases(options.group):
        entries.append(measure(case, options, host))
        show(entries[-1])
    for group in dict.fromkeys(entry["group"] for entry in entries):
        for rival in ("torch", "openblas", "to f32"):
            values = [
                e["ratios"][rival] for e in entries if e["group"] == group and rival in e["ratios"]
            ]
            if values:
                print(f"{group}: {min(values):.2f} to {max(values):.2f} of {rival}, "
                      f"geometric mean {statistics.geometric_mean(values):.3f}")  # fmt: skip
    if options.json:
        about = {"isa": host.name, "model": isa.host_model(), "threads": options.threads}
        about |= {"dtype": options.dtype, "precision": options.precision}
        options.json.write_text(json.dumps({**about, "cases": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main()

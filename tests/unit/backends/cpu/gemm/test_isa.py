"""Instruction sets are found in what the system says, and asked for by name."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ssft.compiler.backends.cpu import CpuOptions, compile_step, lower_to_llvm
from ssft.compiler.backends.cpu.elf import undefined_symbols
from ssft.compiler.backends.cpu.gemm import goto, standalone
from ssft.compiler.backends.cpu.gemm.form import Types
from ssft.compiler.backends.cpu.gemm.isa import AVX2, AVX512, host_flags, host_threads, select
from ssft.compiler.backends.cpu.jit import compile_object
from ssft.compiler.backends.cpu.libraries import find_libraries
from ssft.compiler.diagnostics import UserError
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

F32 = Types("f32", "f32")

CPUINFO = """processor\t: 0
vendor_id\t: SomeVendor
model\t\t: 7
model name\t: Some Processor
flags\t\t: {flags}

processor\t: 1
flags\t\t: nothing
"""


def test_flags_of_the_first_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(flags="fpu avx2 fma bmi2"))
    assert host_flags(str(path)) == {"fpu", "avx2", "fma", "bmi2"}
    assert host_flags(str(tmp_path / "none")) == frozenset()


def test_other_architectures_have_no_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(flags="avx2 fma bmi2"))
    assert host_flags(str(path)) == frozenset()


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (AVX512.flags | AVX2.flags, AVX512),
        (AVX2.flags | {"avx512f"}, AVX2),
        (frozenset({"avx2", "bmi2"}), None),
    ],
)
def test_best_set_is_selected(flags: frozenset[str], wanted: object) -> None:
    assert select("auto", flags) == wanted


def test_wishes_that_cannot_be_met() -> None:
    with pytest.raises(UserError, match="unknown instruction set 'sse9'"):
        select("sse9")
    with pytest.raises(UserError, match="cannot run code for 'avx512': it lacks avx512bw"):
        select("avx512", AVX2.flags)


def test_threads_are_those_that_may_run() -> None:
    assert host_threads() >= 1


def disassembly(code: bytes, folder: Path) -> str:
    (folder / "code.o").write_bytes(code)
    return subprocess.run(
        ["objdump", "-d", folder / "code.o"], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("isa", [AVX512, AVX2], ids=lambda isa: isa.name)
def test_registers_of_machine_code(isa: object, tmp_path: Path) -> None:
    if shutil.which("objdump") is None or not isa.flags <= host_flags():
        pytest.skip("no disassembler, or not this instruction set")
    code = standalone.AnyProduct(isa, F32, parallel=False)._kernels.object
    text = disassembly(code, tmp_path)
    # Only what multiplies: the code around it is compiled for the host like all kernels.
    parts = re.split(r"^[0-9a-f]+ <(\w+)>:$", text, flags=re.MULTILINE)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    ours = {name: named[name] for name in goto.functions(isa, F32)}
    tiles = "".join(body for name, body in ours.items() if name.startswith("ssft_tile"))
    fused = [line for line in tiles.splitlines() if "vfmadd" in line]
    wide = "zmm" if isa is AVX512 else "ymm"
    assert len(fused) >= isa.rows * (1 + 2 + 3)
    assert all(f"%{wide}" in line for line in fused)
    assert not any("(%rsp" in line or "(%rbp" in line for line in fused), "sums in memory"
    if isa is AVX2:
        used = "".join(ours.values())
        assert "zmm" not in used
        assert not re.search(r"%[xy]mm(1[6-9]|2\d|3[01])", used)


STEP = """
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @step(
    %a: tensor<64x64xf32> {ssft.role = "input", ssft.name = "a"},
    %h: tensor<64x64xbf16> {ssft.role = "input", ssft.name = "h"}
) -> (tensor<64x64xf32> {ssft.role = "metric", ssft.name = "v"},
      tensor<64x64xbf16> {ssft.role = "metric", ssft.name = "w"}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<64x64xf32>
  %half = tensor.empty() : tensor<64x64xbf16>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<64x64xf32>) -> tensor<64x64xf32>
  %product = linalg.matmul ins(%a, %a : tensor<64x64xf32>, tensor<64x64xf32>)
      outs(%init : tensor<64x64xf32>) -> tensor<64x64xf32>
  %mixed = linalg.matmul ins(%h, %h : tensor<64x64xbf16>, tensor<64x64xbf16>)
      outs(%product : tensor<64x64xf32>) -> tensor<64x64xf32>
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%mixed : tensor<64x64xf32>) outs(%empty : tensor<64x64xf32>) {
  ^bb0(%x: f32, %o: f32):
    %e = math.exp %x : f32
    linalg.yield %e : f32
  } -> tensor<64x64xf32>
  %sum = linalg.generic {indexing_maps = [#id, #id, #id],
      iterator_types = ["parallel", "parallel"]}
      ins(%exp, %h : tensor<64x64xf32>, tensor<64x64xbf16>) outs(%half : tensor<64x64xbf16>) {
  ^bb0(%x: f32, %y: bf16, %o: bf16):
    %n = arith.truncf %x : f32 to bf16
    %s = arith.addf %n, %y : bf16
    %q = math.sqrt %s : bf16
    linalg.yield %q : bf16
  } -> tensor<64x64xbf16>
  return %exp, %sum : tensor<64x64xf32>, tensor<64x64xbf16>
}
"""


@pytest.mark.parametrize("gemm", ["auto", "blas", "emitted", "loops"])
def test_all_code_is_for_the_set_that_is_asked_for(gemm: str, tmp_path: Path) -> None:
    """Products, fused loops, and conversions from and to bfloat16; and no call of BLAS."""
    if shutil.which("objdump") is None or not AVX512.flags <= host_flags():
        pytest.skip("no disassembler, or a processor that has nothing to avoid")
    found = {}
    for isa in ("auto", "avx2"):
        lowered = lower_to_llvm(STEP, CpuOptions(gemm=gemm, isa=isa, cache=False))
        module = ir.Module.parse(lowered, new_context())
        code = compile_object(module, find_libraries(), opt_level=3)
        found[isa] = disassembly(code, tmp_path)
        assert ("sgemm_" in undefined_symbols(code)) == (gemm == "blas" and isa == "auto")
    assert "zmm" in found["auto"]
    assert "zmm" not in found["avx2"] and "vfmadd" in found["avx2"] and "ymm" in found["avx2"]
    assert not re.search(r"%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]|tileload|tdpbf", found["avx2"])


def test_option_reaches_the_code() -> None:
    with pytest.raises(UserError, match="unknown instruction set 'neon'"):
        goto_step = (
            'func.func @step(%a: tensor<64x64xf32> {ssft.role = "input", ssft.name = "a"}) -> '
            '(tensor<64x64xf32> {ssft.role = "metric", ssft.name = "v"}) {\n'
            "%z = arith.constant 0.0 : f32\n%e = tensor.empty() : tensor<64x64xf32>\n"
            "%i = linalg.fill ins(%z : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>\n"
            "%r = linalg.matmul ins(%a, %a : tensor<64x64xf32>, tensor<64x64xf32>) "
            "outs(%i : tensor<64x64xf32>) -> tensor<64x64xf32>\nreturn %r : tensor<64x64xf32>\n}"
        )
        compile_step(goto_step, CpuOptions(gemm="emitted", isa="neon", cache=False))


def test_one_copy_for_all_products() -> None:
    names = set(goto.functions(AVX512, F32))
    assert names == {
        "ssft_gemm_f32_avx512",
        "ssft_pack_f32_avx512_16",
        "ssft_pack_f32_avx512_8",
        *(f"ssft_tile_f32_avx512_{vectors}" for vectors in (1, 2, 3)),
    }

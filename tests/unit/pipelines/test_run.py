"""Running pipelines: results, failures, reproducers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.pipelines.reproducer import (
    Reproducer,
    parse_reproducer,
    write_reproducer,
)
from ssft.compiler.pipelines.run import IRPrinting, PassFailure, run_pipeline
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

TEXT = """module {
  func.func @f(%a: i32) -> i32 {
    %dead = arith.addi %a, %a : i32
    return %a : i32
  }
}"""


@dataclass(frozen=True)
class ModePass(Pass):
    """Does what `mode` says."""

    argument: ClassVar[str] = "test-mode"
    mode: str = "count"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        function = module.regions[0].blocks[0].operations[0].operation
        if self.mode == "count":
            context.statistics["functions"] += 1
            context.remark(function, "seen")
        elif self.mode == "error":
            context.error(function, "'func.func' op is odd", "make it even", "or remove it")
        elif self.mode == "emit":
            function.location.emit_error("emitted only")
        elif self.mode == "signal":
            context.signal_failure()
        elif self.mode == "raise":
            raise ZeroDivisionError("a bug")
        elif self.mode == "user":
            raise UserError("the user did it")
        elif self.mode == "break":
            nullary = ir.FunctionType.get([], [], context=module.context)
            function.attributes["function_type"] = ir.TypeAttr.get(nullary, module.context)
        elif self.mode == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)


@pytest.fixture
def module() -> Iterator[ir.Operation]:
    yield ir.Operation.parse(TEXT, source_name="in.mlir", context=new_context())


def test_passes_of_both_kinds_run_in_order(module):
    result = run_pipeline(module, ["func.func(cse)", ModePass(), ModePass(), "canonicalize"])
    assert result.statistics == {"test-mode": {"functions": 2}}
    assert [(str(r.location), r.message) for r in result.remarks] == [("in.mlir:2:3", "seen")] * 2
    assert "arith.addi" not in str(module)


def test_a_text_with_anchor_is_a_pipeline(module):
    run_pipeline(module, "builtin.module(func.func(cse))")
    assert "arith.addi" not in str(module)


def test_an_error_is_reported_with_place_and_notes(module):
    with pytest.raises(PassFailure) as caught:
        run_pipeline(module, ["cse", ModePass("error"), "canonicalize"])
    failure = caught.value
    assert failure.pass_name == "test-mode"
    assert str(failure.location) == "in.mlir:2:3"
    assert failure.message == "'func.func' op is odd"
    assert failure.notes == ("make it even", "or remove it", "pass 'test-mode' failed")
    (diagnostic,) = failure.diagnostics
    assert [note.message for note in diagnostic.notes] == ["make it even", "or remove it"]


def test_an_error_that_is_only_emitted_fails_the_pass(module):
    with pytest.raises(PassFailure, match="emitted only") as caught:
        run_pipeline(module, [ModePass("emit"), ModePass("raise")])
    assert caught.value.pass_name == "test-mode"


def test_a_failure_without_a_message_names_the_pass(module):
    with pytest.raises(PassFailure, match="pass 'test-mode' failed and did not say why"):
        run_pipeline(module, [ModePass("signal")])


def test_invalid_ir_is_blamed_on_the_pass_that_left_it(module):
    with pytest.raises(PassFailure, match="entry block must have 0 arguments") as caught:
        run_pipeline(module, ["cse", ModePass("break"), "canonicalize"])
    assert caught.value.pass_name == "test-mode"


def test_invalid_ir_goes_unnoticed_without_verify_each(module):
    run_pipeline(module, [ModePass("break")], verify_each=False)


def test_a_bug_propagates_with_the_name_of_the_pass(module):
    with pytest.raises(ZeroDivisionError) as caught:
        run_pipeline(module, [ModePass("raise")])
    assert "while pass 'test-mode' was running" in caught.value.__notes__
    run_pipeline(module, ["cse"])  # the module is still usable


def test_a_user_error_raised_by_a_pass_stays_one(module):
    with pytest.raises(UserError, match="the user did it"):
        run_pipeline(module, [ModePass("user")])


def test_an_upstream_failure_names_the_only_candidate(module):
    text = """func.func @f() -> tensor<2xf32> {
      %0 = "test.unknown"() : () -> tensor<2xf32>
      return %0 : tensor<2xf32>
    }"""
    module.context.allow_unregistered_dialects = True
    bad = ir.Module.parse(text, context=module.context)
    with pytest.raises(PassFailure, match="was not bufferized") as caught:
        run_pipeline(bad, [ModePass(), "one-shot-bufferize{bufferize-function-boundaries=1}"])
    assert caught.value.pass_name == "one-shot-bufferize{bufferize-function-boundaries=1}"


def test_the_reproducer_holds_the_ir_before_the_first_pass(module, tmp_path):
    with pytest.raises(PassFailure) as caught:
        run_pipeline(module, ["cse", ModePass("error")], reproducer=tmp_path)
    (path,) = tmp_path.iterdir()
    assert caught.value.notes[-1] == f"to reproduce: ssft-opt --run-reproducer {path}"
    reproducer = parse_reproducer(path.read_text())
    assert reproducer.pipeline == "builtin.module(cse,test-mode{mode=error})"
    assert "arith.addi" in reproducer.module
    assert ir.Module.parse(reproducer.module, context=module.context)


def test_success_leaves_no_reproducer(module, tmp_path):
    run_pipeline(module, ["cse"], reproducer=tmp_path / "r.mlir")
    assert list(tmp_path.iterdir()) == []


def test_a_crash_leaves_the_reproducer(tmp_path):
    """The process dies, so this one runs in another."""
    script = f"""
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("test_run", {__file__!r})
test_run = sys.modules["test_run"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test_run)
module = test_run.ir.Operation.parse(test_run.TEXT, context=test_run.new_context())
crash = test_run.ModePass("segfault")
test_run.run_pipeline(module, [crash], reproducer=pathlib.Path({str(tmp_path)!r}))
"""
    path = [p for p in sys.path if p.startswith(str(Path(__file__).parents[3]))]
    run = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": ":".join(path)})
    assert run.returncode == -11
    (file,) = tmp_path.iterdir()
    assert parse_reproducer(file.read_text()).pipeline == "builtin.module(test-mode{mode=segfault})"


def test_reproducers_quote_what_they_hold():
    original = Reproducer("module {\n}\n", 'builtin.module(x{a="b c"})', verify_each=False)
    again = parse_reproducer(str(original))
    assert (again.pipeline, again.verify_each) == (original.pipeline, False)
    assert parse_reproducer("module {}") is None


def test_a_reproducer_keeps_other_resources(module):
    text = (
        "module attributes {x.r = dense_resource<blob> : tensor<1xi32>} {}\n"
        '{-# dialect_resources: { builtin: { blob: "0x0400000001000000" } } #-}\n'
    )
    with_resource = ir.Module.parse(text, context=module.context)
    reproducer = parse_reproducer(str(Reproducer(str(with_resource), "builtin.module(cse)")))
    assert "0x0400000001000000" in str(ir.Module.parse(reproducer.module, context=module.context))


def test_equal_inputs_get_one_reproducer_and_others_another(tmp_path):
    names = {
        write_reproducer(Reproducer(text, "builtin.module(cse)"), tmp_path)
        for text in ("module {}", "module {}", "module @a {}")
    }
    assert len(names) == 2


def test_ir_is_printed_around_named_passes(module, capfd):
    printing = IRPrinting(before=frozenset({"test-mode"}), after=frozenset({"cse"}))
    run_pipeline(module, ["func.func(cse,canonicalize)", ModePass()], ir_printing=printing)
    headers = [line for line in capfd.readouterr().err.split("\n") if "IR Dump" in line]
    assert headers == [
        "// -----// IR Dump After cse //----- //",
        "// -----// IR Dump Before test-mode //----- //",
    ]

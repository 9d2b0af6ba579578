"""Steps written as text, for the analyses that answer questions about operations."""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.analysis import step as step_ir
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

MAPS = """
#id = affine_map<(i, j) -> (i, j)>
#turned = affine_map<(i, j) -> (j, i)>
#row = affine_map<(i, j) -> (i)>
#column = affine_map<(i, j) -> (j)>
#scalar = affine_map<(i, j) -> ()>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#rhs_t = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>
"""


@dataclass
class Step:
    """A parsed step with the owners of all handles into it: keep it while there are handles."""

    context: ir.Context
    module: ir.Module
    op: ir.Operation

    def __getitem__(self, name: str) -> ir.Operation:
        """The operation that carries ``test = "name"``."""
        for op in step_ir.operations(self.op):
            if "test" in op.attributes and ir.StringAttr(op.attributes["test"]).value == name:
                return op
        raise KeyError(name)

    def names(self, operations) -> set[str]:
        """The ``test`` names of those of `operations` that have one."""
        return {
            ir.StringAttr(op.attributes["test"]).value
            for op in operations
            if "test" in op.attributes
        }


def parse(arguments: str, body: str, results: str = "", returned: str = "") -> Step:
    """Makes ``@step`` from the text between its parentheses, its body, and what it returns."""
    text = f"""{MAPS}
        func.func @step({arguments}) {f"-> ({results})" if results else ""} {{
          %zero = arith.constant 0.0 : f32
          {body}
          return {returned}
        }}"""
    context = new_context()
    with context, ir.Location.unknown():
        module = ir.Module.parse(text)
    return Step(context, module, step_ir.find_step(module.operation))


def argument(name: str, type_: str, role: str = "input", state: str = "") -> str:
    extra = f', ssft.state = "{state}"' if state else ""
    return f'%{name}: tensor<{type_}> {{ssft.role = "{role}", ssft.name = "{name}"{extra}}}'


def elementwise(
    result: str,
    inputs: dict[str, str],
    body: str,
    type_: str = "4x6xf32",
    maps: str = "",
    out: str = "",
) -> str:
    """A generic over two parallel loops: `inputs` maps values to types, `body` sees ``%a, %b, …``.

    The last line of `body` defines ``%r``; `maps` defaults to identities.
    """
    names = "abcdefg"[: len(inputs)]
    element = type_.rsplit("x", 1)[-1]
    blocks = "".join(
        f"%{n}: {t.rsplit('x', 1)[-1]}, " for n, t in zip(names, inputs.values(), strict=True)
    )
    types = ", ".join(f"tensor<{t}>" for t in inputs.values())
    out = out or f"%{result}_e"
    return f"""
          %{result}_e = tensor.empty() : tensor<{type_}>
          %{result} = linalg.generic {{test = "{result}",
              indexing_maps = [{maps or ", ".join(["#id"] * (len(inputs) + 1))}],
              iterator_types = ["parallel", "parallel"]}}
              ins({", ".join(inputs)} : {types}) outs({out} : tensor<{type_}>) {{
          ^bb0({blocks}%o: {element}):
            {body}
            linalg.yield %r : {element}
          }} -> tensor<{type_}>"""


def matmul(result: str, a: str, b: str, sizes: tuple[int, int, int], rhs: str = "#rhs") -> str:
    """``result[m, n] = sum_k a[m, k] * b`` with `b` as the map `rhs` says; f32."""
    m, n, k = sizes
    b_type = f"{k}x{n}" if rhs == "#rhs" else f"{n}x{k}"
    return f"""
          %{result}_e = tensor.empty() : tensor<{m}x{n}xf32>
          %{result}_z = linalg.fill ins(%zero : f32) outs(%{result}_e : tensor<{m}x{n}xf32>)
              -> tensor<{m}x{n}xf32>
          %{result} = linalg.matmul indexing_maps = [#lhs, {rhs}, #out] {{test = "{result}"}}
              ins({a}, {b} : tensor<{m}x{k}xf32>, tensor<{b_type}xf32>)
              outs(%{result}_z : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>"""


def total(result: str, value: str, type_: str = "4x6xf32", body: str = "") -> str:
    """The sum of all elements of a matrix; `body` computes ``%s`` from ``%acc`` and ``%a``."""
    return f"""
          %{result}_e = tensor.empty() : tensor<f32>
          %{result}_z = linalg.fill ins(%zero : f32) outs(%{result}_e : tensor<f32>) -> tensor<f32>
          %{result} = linalg.generic {{test = "{result}", indexing_maps = [#id, #scalar],
              iterator_types = ["reduction", "reduction"]}}
              ins({value} : tensor<{type_}>) outs(%{result}_z : tensor<f32>) {{
          ^bb0(%a: f32, %acc: f32):
            {body or "%s = arith.addf %acc, %a : f32"}
            linalg.yield %s : f32
          }} -> tensor<f32>"""


LOSS = 'tensor<f32> {ssft.role = "loss"}'


def updates(number: int, type_: str) -> str:
    return f"tensor<{type_}> {{ssft.updates_arg = {number} : i64}}"


def update(result: str, weight: str, gradient: str, type_: str, state: str = "") -> str:
    """``ssft.update``: ``w - g``, or with a state ``w - (m + g)``."""
    t = f"tensor<{type_}>"
    if not state:
        return f"""
          %{result} = "ssft.update"({weight}, {gradient}) ({{
          ^bb0(%we: f32, %ge: f32):
            %n = arith.subf %we, %ge : f32
            "ssft.yield"(%n) : (f32) -> ()
          }}) {{test = "{result}", operandSegmentSizes = array<i32: 1, 0, 1>}}
              : ({t}, {t}) -> {t}"""
    return f"""
          %{result}:2 = "ssft.update"({weight}, {state}, {gradient}) ({{
          ^bb0(%we: f32, %me: f32, %ge: f32):
            %m2 = arith.addf %me, %ge : f32
            %n = arith.subf %we, %m2 : f32
            "ssft.yield"(%n, %m2) : (f32, f32) -> ()
          }}) {{test = "{result}", operandSegmentSizes = array<i32: 1, 1, 1>}}
              : ({t}, {t}, {t}) -> ({t}, {t})"""

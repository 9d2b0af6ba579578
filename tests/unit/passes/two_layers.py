"""A training step written by hand: two layers, momentum, and clipping by the global norm.

With tokens ``x [t, i]``, ``p = x U^T``, ``y = p D^T``, the loss is the sum of squares of y. The
coefficient of clipping is ``1 / (1 + norm^2)``, the momentum 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ssft.compiler.plan_schema import Mask

T, I, H, O = 5, 6, 8, 4  # noqa: E741 (tokens, input, hidden and output channels)
SHAPES = {"up": (H, I), "down": (O, H)}
LR = 0.05

_MAPS = """
#tx = affine_map<(t, o, i) -> (t, i)>
#tw = affine_map<(t, o, i) -> (o, i)>
#ty = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(i, j) -> (i, j)>
#turned = affine_map<(i, j) -> (j, i)>
#scalar = affine_map<(i, j) -> ()>
#none = affine_map<() -> ()>
"""


def _type(rows: int, columns: int) -> str:
    return f"tensor<{rows}x{columns}xf64>"


def _zeros(name: str, rows: int, columns: int) -> str:
    t = _type(rows, columns)
    return f"""
  %{name}_e = tensor.empty() : {t}
  %{name}_z = linalg.fill ins(%zero : f64) outs(%{name}_e : {t}) -> {t}"""


def _linear(name: str, x: str, w: str, sizes: tuple[int, int, int]) -> str:
    """``x [t, i] @ w [o, i].T``."""
    t, o, i = sizes
    return f"""{_zeros(name, t, o)}
  %{name} = linalg.matmul indexing_maps = [#tx, #tw, #ty]
      ins({x}, {w} : {_type(t, i)}, {_type(o, i)})
      outs(%{name}_z : {_type(t, o)}) -> {_type(t, o)}"""


def _product(name: str, a: str, b: str, sizes: tuple[int, int, int]) -> str:
    """``a [m, k] @ b [k, n]``."""
    m, n, k = sizes
    return f"""{_zeros(name, m, n)}
  %{name} = linalg.matmul ins({a}, {b} : {_type(m, k)}, {_type(k, n)})
      outs(%{name}_z : {_type(m, n)}) -> {_type(m, n)}"""


def _transpose(name: str, a: str, rows: int, columns: int) -> str:
    return f"""
  %{name}_e = tensor.empty() : {_type(columns, rows)}
  %{name} = linalg.transpose ins({a} : {_type(rows, columns)})
      outs(%{name}_e : {_type(columns, rows)}) permutation = [1, 0]"""


def _map(name: str, inputs: str, shape: tuple[int, int], body: str, scalars: str = "") -> str:
    """A generic of matrices of one shape, then 0-d scalars."""
    values, more = inputs.split(), scalars.split()
    t = _type(*shape)
    maps = ", ".join(["#id"] * len(values) + ["#scalar"] * len(more) + ["#id"])
    types = ", ".join([t] * len(values) + ["tensor<f64>"] * len(more))
    blocks = ", ".join(f"%v{n}: f64" for n in range(len(values) + len(more) + 1))
    return f"""
  %{name}_e = tensor.empty() : {t}
  %{name} = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel", "parallel"]}}
      ins({", ".join(values + more)} : {types}) outs(%{name}_e : {t}) {{
  ^bb0({blocks}):
    {body}
    linalg.yield %r : f64
  }} -> {t}"""


def _sum_of_squares(name: str, value: str, shape: tuple[int, int], start: str) -> str:
    return f"""
  %{name} = linalg.generic {{indexing_maps = [#id, #scalar],
      iterator_types = ["reduction", "reduction"]}}
      ins({value} : {_type(*shape)}) outs({start} : tensor<f64>) {{
  ^bb0(%v0: f64, %acc: f64):
    %q = arith.mulf %v0, %v0 : f64
    %r = arith.addf %acc, %q : f64
    linalg.yield %r : f64
  }} -> tensor<f64>"""


def step_text() -> str:
    """The step as it comes from the frontend: with transposes, updates element by element."""
    body = "\n  %zero = arith.constant 0.0 : f64"
    body += "\n  %none = arith.constant dense<0.0> : tensor<f64>"
    body += _linear("p", "%x", "%up", (T, H, I))
    body += _linear("y", "%p", "%down", (T, O, H))
    body += _sum_of_squares("loss", "%y", (T, O), "%none")
    body += _map("dy", "%y", (T, O), "%r = arith.addf %v0, %v0 : f64")
    body += _transpose("dyt", "%dy", T, O) + _product("gdown", "%dyt", "%p", (O, H, T))
    body += _product("dp", "%dy", "%down", (T, H, O))
    body += _transpose("xt", "%x", T, I) + _product("gupt", "%xt", "%dp", (I, H, T))
    body += _transpose("gup", "%gupt", I, H)
    body += _sum_of_squares("norm1", "%gup", (H, I), "%none")
    body += _sum_of_squares("norm2", "%gdown", (O, H), "%norm1")
    body += """
  %ce = tensor.empty() : tensor<f64>
  %coefficient = linalg.generic {indexing_maps = [#none, #none], iterator_types = []}
      ins(%norm2 : tensor<f64>) outs(%ce : tensor<f64>) {
  ^bb0(%n: f64, %o: f64):
    %one = arith.constant 1.0 : f64
    %d = arith.addf %one, %n : f64
    %c = arith.divf %one, %d : f64
    linalg.yield %c : f64
  } -> tensor<f64>"""
    for name, shape in SHAPES.items():
        body += _map(
            f"m{name}2",
            f"%m{name} %g{name}",
            shape,
            "%k = arith.constant 0.9 : f64\n    %a = arith.mulf %v0, %k : f64\n"
            "    %b = arith.mulf %v1, %v2 : f64\n    %r = arith.addf %a, %b : f64",
            "%coefficient",
        )
        body += _map(
            f"{name}2",
            f"%{name} %m{name}2",
            shape,
            "%a = arith.mulf %v1, %v2 : f64\n    %r = arith.subf %v0, %a : f64",
            "%lr",
        )
    up, down = _type(H, I), _type(O, H)
    state = 'ssft.role = "state", ssft.state = "momentum_buffer"'
    return f"""{_MAPS}
func.func @step(
    %up: {up} {{ssft.role = "trainable", ssft.name = "up"}},
    %down: {down} {{ssft.role = "trainable", ssft.name = "down"}},
    %mup: {up} {{{state}, ssft.name = "up"}},
    %mdown: {down} {{{state}, ssft.name = "down"}},
    %lr: tensor<f64> {{ssft.role = "hyper", ssft.name = "lr"}},
    %x: {_type(T, I)} {{ssft.role = "input", ssft.name = "x"}}
) -> (
    tensor<f64> {{ssft.role = "loss"}},
    {up} {{ssft.updates_arg = 0 : i64}}, {down} {{ssft.updates_arg = 1 : i64}},
    {up} {{ssft.updates_arg = 2 : i64}}, {down} {{ssft.updates_arg = 3 : i64}}
) {{{body}
  return %loss, %up2, %down2, %mup2, %mdown2
      : tensor<f64>, {up}, {down}, {up}, {down}
}}
"""


def selection(mask: Mask | None, shape: tuple[int, int]) -> np.ndarray:
    """Booleans of `shape`: what `mask` trains (nothing, if it is None)."""
    if mask is None:
        return np.zeros(shape, bool)
    rows, columns = np.zeros(shape[0], bool), np.zeros(shape[1], bool)
    rows[slice(None) if mask.rows is None else list(mask.rows)] = True
    columns[slice(None) if mask.columns is None else list(mask.columns)] = True
    if mask.combine == "union":
        return rows[:, None] | columns[None, :]
    return rows[:, None] & columns[None, :]


@dataclass
class Reference:
    """The same training in NumPy: dense, with gradients masked before anything is done to them."""

    weights: dict[str, np.ndarray]
    masks: Mapping[str, Mask | None]
    moments: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moments = {name: np.zeros(shape) for name, shape in SHAPES.items()}

    def step(self, x: np.ndarray) -> float:
        """Trains one step; returns the loss before it."""
        p = x @ self.weights["up"].T
        y = p @ self.weights["down"].T
        dy = 2 * y
        gradients = {"down": dy.T @ p, "up": (dy @ self.weights["down"]).T @ x}
        for name, gradient in gradients.items():
            gradient[~selection(self.masks[name], SHAPES[name])] = 0
        coefficient = 1 / (1 + sum((g**2).sum() for g in gradients.values()))
        for name, gradient in gradients.items():
            self.moments[name] = 0.9 * self.moments[name] + coefficient * gradient
            self.weights[name] = self.weights[name] - LR * self.moments[name]
        return float((y**2).sum())

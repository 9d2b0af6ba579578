"""A hand-written plan: linear regression by gradient descent with momentum, on looked-up rows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ssft.compiler.weights import Array, write_safetensors

# x = table[ids]; d = x @ w' - target; loss = sum(d * d) / 2; g = d' @ x; m = m + g; w -= lr * m
PLAN = """
#i = affine_map<(d0, d1) -> (d0, d1)>
#s = affine_map<(d0, d1) -> ()>
#z = affine_map<() -> ()>
module attributes {VERSION WEIGHTS ssft.optimizer = {kind = "SGD", lr = 1.0e-1 : f64}} {
func.func @step(
    %w: tensor<2x3xf32> {ssft.role = "trainable", ssft.name = "weight"},
    %table: tensor<5x3xf32> {ssft.role = "frozen", ssft.name = "table",
      ssft.aliases = ["output.table"]},
    %m: tensor<2x3xf32> {ssft.role = "state", ssft.name = "weight",
      ssft.state = "momentum_buffer"},
    %lr: tensor<f64> {ssft.role = "hyper", ssft.name = "lr"},
    %n: tensor<f64> {ssft.role = "step", ssft.name = "step"},
    %seed: tensor<i64> {ssft.role = "seed", ssft.name = "seed"},
    %ids: tensor<4xi64> {ssft.role = "input", ssft.name = "ids", ssft.range = array<i64: 0, 5>},
    %target: tensor<4x2xf32> {ssft.role = "input", ssft.name = "target"}
) -> (
    tensor<f32> {ssft.role = "loss"},
    tensor<f64> {ssft.role = "metric", ssft.name = "next_step"},
    tensor<2x3xf32> {ssft.role = "gradient", ssft.name = "weight"},
    tensor<2x3xf32> {ssft.updates_arg = 0 : i64},
    tensor<2x3xf32> {ssft.updates_arg = 2 : i64},
    tensor<f64> {ssft.updates_arg = 4 : i64}
) {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f64
  %x = "ssft.gather"(%table, %ids) {dim = 0 : i64}
    : (tensor<5x3xf32>, tensor<4xi64>) -> tensor<4x3xf32>
  %e0 = tensor.empty() : tensor<4x2xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<4x2xf32>) -> tensor<4x2xf32>
  %y = linalg.matmul
    indexing_maps = [affine_map<(a, b, k) -> (a, k)>, affine_map<(a, b, k) -> (b, k)>,
                     affine_map<(a, b, k) -> (a, b)>]
    ins(%x, %w : tensor<4x3xf32>, tensor<2x3xf32>) outs(%z0 : tensor<4x2xf32>) -> tensor<4x2xf32>
  %d = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel"]}
    ins(%y, %target : tensor<4x2xf32>, tensor<4x2xf32>) outs(%e0 : tensor<4x2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<4x2xf32>
  %e1 = tensor.empty() : tensor<f32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction", "reduction"]}
    ins(%d : tensor<4x2xf32>) outs(%z1 : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.mulf %a, %a : f32
    %h = arith.mulf %q, %half : f32
    %r = arith.addf %o, %h : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = "ssft.weight_grad"(%d, %x) : (tensor<4x2xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %e2 = tensor.empty() : tensor<2x3xf32>
  %m1 = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel"]}
    ins(%m, %g : tensor<2x3xf32>, tensor<2x3xf32>) outs(%e2 : tensor<2x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<2x3xf32>
  %w1 = linalg.generic {indexing_maps = [#i, #i, #s, #i], iterator_types = ["parallel", "parallel"]}
    ins(%w, %m1, %lr : tensor<2x3xf32>, tensor<2x3xf32>, tensor<f64>)
    outs(%e2 : tensor<2x3xf32>) {
  ^bb0(%a: f32, %b: f32, %rate: f64, %o: f32):
    %l = arith.truncf %rate : f64 to f32
    %p = arith.mulf %l, %b : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<2x3xf32>
  %e3 = tensor.empty() : tensor<f64>
  %n1 = linalg.generic {indexing_maps = [#z, #z], iterator_types = []}
    ins(%n : tensor<f64>) outs(%e3 : tensor<f64>) {
  ^bb0(%a: f64, %o: f64):
    %r = arith.addf %a, %one : f64
    linalg.yield %r : f64
  } -> tensor<f64>
  return %loss, %n1, %g, %w1, %m1, %n1
    : tensor<f32>, tensor<f64>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<f64>
}
}
"""


def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "weight": random.standard_normal((2, 3)).astype(np.float32),
        "table": random.standard_normal((5, 3)).astype(np.float32),
    }


def batch() -> dict[str, np.ndarray]:
    target = np.random.default_rng(1).standard_normal((4, 2)).astype(np.float32)
    return {"ids": np.array([0, 4, 2, 2]), "target": target}


def plan_text(version: str = "ssft.version = 1 : i64,", weights_file: str = "") -> str:
    return PLAN.replace("VERSION", version).replace("WEIGHTS", weights_file)


def write_plan(folder: Path, text: str | None = None) -> Path:
    """Writes the plan and its sidecar; returns the plan's path."""
    sidecar = folder / "plan.safetensors"
    write_safetensors(sidecar, {name: Array("f32", data) for name, data in weights().items()})
    digest = hashlib.sha256(sidecar.read_bytes()).hexdigest()
    entry = f'ssft.weights = {{file = "{sidecar.name}", sha256 = "{digest}"}},'
    path = folder / "plan.mlir"
    path.write_text(text or plan_text(weights_file=entry))
    return path


class Reference:
    """The same training in NumPy."""

    def __init__(self) -> None:
        self.weights = weights()
        self.momentum = np.zeros((2, 3), np.float32)
        self.gradient = np.zeros((2, 3), np.float32)

    def loss(self, values: dict[str, np.ndarray]) -> float:
        return float((self._difference(values)[1] ** 2).sum() / 2)

    def step(self, values: dict[str, np.ndarray], rate: float = 0.1) -> float:
        loss = self.loss(values)
        x, difference = self._difference(values)
        self.gradient = difference.T @ x
        self.momentum = self.momentum + self.gradient
        self.weights["weight"] = self.weights["weight"] - np.float32(rate) * self.momentum
        return loss

    def _difference(self, values: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        x = self.weights["table"][values["ids"]]
        return x, x @ self.weights["weight"].T - values["target"]

"""Verifiers answer on any operation, however odd; an exception in one would be a traceback."""

from __future__ import annotations

import random

import pytest

from ssft.compiler.pipelines.collect import DiagnosticCollector
from ssft.dialects import ALL_OPERATIONS
from ssft.dialects._mlir import ir

TYPES = [
    "f32", "index", "i64", "none", "tensor<f32>", "tensor<4xf32>", "tensor<2x4xf32>",
    "tensor<?x4xf32>", "tensor<*xf32>", "tensor<2xi64>", "tensor<0xi64>", "vector<4xf32>",
    "memref<4xf32>", "tensor<4xindex>", "tensor<2x4xcomplex<f32>>", "tuple<f32>",
]  # fmt: skip
ATTRIBUTES = ["0 : i64", "1 : i64", "-1 : i64", "7 : i64", "1 : i32", "1 : index", '"x"', "unit"]
SEGMENTS = ["array<i32: 1, 0, 1>", "array<i32: 1, 1, 1>", "array<i32: -1, 2, 1>", "array<i32>"]
SAMPLES = 150


def build(op: type, rng: random.Random, values: list[ir.Value]) -> ir.Operation:
    operands = rng.choices(values, k=rng.randrange(5))
    results = [ir.Type.parse(rng.choice(TYPES)) for _ in range(rng.randrange(3))]
    names = rng.sample(["dim", "offset", "size"], rng.randrange(4))
    attributes = {name: ir.Attribute.parse(rng.choice(ATTRIBUTES)) for name in names}
    if rng.random() < 0.7:
        attributes["operandSegmentSizes"] = ir.Attribute.parse(rng.choice(SEGMENTS))
    made = ir.Operation.create(
        op.OPERATION_NAME, results, operands, attributes, regions=rng.randrange(3)
    )
    for region in made.regions:
        for _ in range(rng.randrange(3)):
            types = [ir.Type.parse(rng.choice(TYPES)) for _ in range(rng.randrange(3))]
            block = region.blocks.append(*types, arg_locs=[ir.Location.unknown()] * len(types))
            if rng.random() < 0.8:
                with ir.InsertionPoint(block):
                    ir.Operation.create("ssft.yield", operands=rng.choices(values, k=2))
    return made


@pytest.mark.parametrize("op", ALL_OPERATIONS, ids=lambda op: op.OPERATION_NAME)
def test_verifiers_do_not_raise(context, op):
    rng = random.Random(op.OPERATION_NAME)
    arguments = ", ".join(f"%a{number}: {type_}" for number, type_ in enumerate(TYPES))
    text = f"func.func @f({arguments}) {{ return }}"
    refused = 0
    for _ in range(SAMPLES):
        module = ir.Module.parse(text)
        block = module.body.operations[0].regions[0].blocks[0]
        with ir.InsertionPoint.at_block_begin(block), DiagnosticCollector(context) as collector:
            build(op, rng, list(block.arguments))
            try:
                module.operation.verify()
            except ir.MLIRError:
                refused += 1
                assert collector.errors
    assert refused > SAMPLES * 0.9

"""From ``@step`` to the `Graph` that the accelerator backend works on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.backends.cpu.constants import constant_bytes
from ssft.compiler.backends.hw.graph import Graph, Origin, Store
from ssft.compiler.backends.hw.importing import loops as import_loops
from ssft.compiler.backends.hw.importing import slices as import_slices
from ssft.compiler.backends.hw.importing import tensors as import_tensors
from ssft.compiler.backends.hw.importing.bodies import captured_values, element_type
from ssft.compiler.backends.hw.importing.contractions import import_as_nest, import_contraction
from ssft.compiler.backends.hw.importing.in_place import in_place_values
from ssft.compiler.backends.hw.importing.layouts import argument_orders
from ssft.compiler.backends.hw.importing.origins import Origins, source_line
from ssft.compiler.backends.hw.importing.state import ImportState
from ssft.compiler.backends.hw.views import Buffer, View, whole
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import StepSignature
from ssft.dialects._mlir import ir, linalg_indexing_maps

_IMPORTERS: dict[str, Callable[[ImportState, ir.Operation], None]] = {
    "linalg.broadcast": import_tensors.import_broadcast,
    "linalg.fill": import_loops.import_fill,
    "linalg.transpose": import_tensors.import_transpose,
    "ssft.barrier": import_slices.import_barrier,
    "ssft.gather": import_slices.import_gather,
    "ssft.save_slice": import_slices.import_save_slice,
    "ssft.scatter": import_slices.import_scatter,
    "ssft.scatter_add": import_slices.import_scatter_add,
    "ssft.update": import_loops.import_update,
    "tensor.collapse_shape": import_tensors.import_collapse,
    "tensor.concat": import_tensors.import_concat,
    "tensor.empty": import_tensors.import_empty,
    "tensor.expand_shape": import_tensors.import_expand,
    "tensor.extract": import_tensors.import_extract,
    "tensor.extract_slice": import_tensors.import_extract_slice,
    "tensor.from_elements": import_tensors.import_from_elements,
    "tensor.insert_slice": import_tensors.import_insert_slice,
    "tensor.pad": import_tensors.import_pad,
}


def import_graph(module: ir.Module, signature: StepSignature) -> Graph:
    """Imports the step of a plan.

    Raises:
        UserError: the step has operations that the accelerator cannot run; names all of them.
    """
    step = step_ir.find_step(module.operation)
    state = ImportState(in_place=in_place_values(step))
    arguments = _import_arguments(state, step, signature)
    origins = Origins(step)
    reasons: dict[str, UserError] = {}
    for op in step_ir.operations(step):
        if op.name == "func.return":
            break
        if not origins.failed.isdisjoint(_used(op)):
            origins.failed.update(op.results)
            if not _is_known(op):
                state.unsupported[op.name] += 1
                reasons.setdefault(op.name, _unknown(op))
            continue
        state.origin = origins.of(op)
        try:
            _import(state, op, origins)
        except UserError as error:
            state.unsupported[op.name] += 1
            reasons.setdefault(op.name, error)
            origins.failed.update(op.results)
    if state.unsupported:
        raise _cannot_lower(state, reasons)
    results = _import_results(state, step, signature, arguments)
    return Graph(state.ops, arguments, results, state.buffers)


def _used(op: ir.Operation) -> list[ir.Value]:
    """Values that an operation or its body reads."""
    captured = [value for region in op.regions for value in captured_values(region.blocks[0])]
    return [*op.operands, *captured]


def _import_arguments(
    state: ImportState, step: ir.Operation, signature: StepSignature
) -> list[Buffer]:
    arguments = []
    orders = argument_orders(step, signature)
    for value, info in zip(step_ir.body(step).arguments, signature.arguments, strict=True):
        order = orders.get(info.index, ())
        buffer = Buffer(
            info.name if info.state is None else f"{info.name}:{info.state}",
            element_type(value.type),
            info.elements,
            kind="argument",
            shape=info.shape,
            order=order,
            argument=info.index,
        )
        arguments.append(buffer)
        state.values[value] = whole(buffer, info.shape, order)
    return arguments


def _import(state: ImportState, op: ir.Operation, origins: Origins) -> None:
    contraction = as_contraction(op)
    if contraction is not None and _fits_tensor_unit(op):
        import_contraction(state, op, contraction, origins.masked_macs(op))
    elif op.name == "linalg.generic":
        if not import_slices.import_row_lookup(state, op):
            import_loops.import_generic(state, op)
    elif op.name == "ssft.weight_grad":
        assert contraction is not None
        import_as_nest(state, op, contraction)
    elif op.name == "arith.constant":
        _import_constant(state, op)
    elif op.name in _IMPORTERS:
        _IMPORTERS[op.name](state, op)
    elif op.name.startswith("linalg.") and linalg_indexing_maps(op) is not None:
        import_loops.import_generic(state, op)
    elif op.name.split(".")[0] not in ("arith", "math") or not _constant_operands(op):
        raise _unknown(op)


def _is_known(op: ir.Operation) -> bool:
    """Whether operations of this name can be imported, at least in some form."""
    scalar = op.name.split(".")[0] in ("arith", "math")
    structured = op.name.startswith("linalg.") and linalg_indexing_maps(op) is not None
    return scalar or structured or op.name in _IMPORTERS or as_contraction(op) is not None


def _unknown(op: ir.Operation) -> UserError:
    return UserError(f"the accelerator cannot run '{op.name}'")


def _fits_tensor_unit(op: ir.Operation) -> bool:
    return all(element_type(value.type) in ("bf16", "f32") for value in op.operands)


def _constant_operands(op: ir.Operation) -> bool:
    from ssft.compiler.backends.hw.importing.bodies import is_constant

    return all(is_constant(operand) for operand in op.operands)


def _import_constant(state: ImportState, op: ir.Operation) -> None:
    attribute = op.attributes["value"]
    if not isinstance(attribute, ir.DenseElementsAttr):
        return  # a scalar: computed where it is used
    type_ = ir.RankedTensorType(op.results[0].type)
    dtype, shape = element_type(type_), list(type_.shape)
    raw = constant_bytes(attribute)
    storage = {"i1": np.uint8, "i8": np.int8, "i32": np.int32, "i64": np.int64, "bf16": np.uint16}
    floats = {"f32": np.float32, "f64": np.float64}
    data = np.frombuffer(raw, dtype=(storage | floats)[dtype])
    if attribute.is_splat or data.size == 1:
        number = data[0].item()
        if dtype == "bf16":
            number = float((data[:1].astype(np.uint32) << 16).view(np.float32)[0])
        state.values[op.results[0]] = state.splat(number, dtype, shape)
        return
    buffer = Buffer("constant", dtype, math.prod(shape), kind="constant", shape=tuple(shape))
    buffer.data = data
    buffer.number = len(state.buffers)
    state.buffers.append(buffer)
    state.values[op.results[0]] = whole(buffer, shape)


def _import_results(
    state: ImportState, step: ir.Operation, signature: StepSignature, arguments: list[Buffer]
) -> list[tuple[int, Buffer]]:
    stores: list[tuple[View, View, Origin]] = []
    results = []
    for value, info in zip(step_ir.terminator(step).operands, signature.results, strict=True):
        made = step_ir.owner(value)
        location = "" if made is None else source_line(made.location)
        state.origin = Origin("result", "update", location)
        view = state.values[value]
        if info.updates_arg is None:
            buffer = state.new_buffer(
                info.name or info.role or "result", view.buffer.dtype, info.shape
            )
            buffer.shape = info.shape
            target = whole(buffer, info.shape)
            results.append((info.index, buffer))
        else:
            argument = arguments[info.updates_arg]
            target = whole(argument, info.shape, argument.order)
            if view == target and value in state.in_place:
                continue
        stores.append((state.direct(view), target, state.origin))
    overwritten = {id(target.buffer) for _, target, _ in stores}
    # All results are taken before the first argument changes.
    sources = [
        state.materialized(view) if id(view.buffer) in overwritten and view != target else view
        for view, target, _ in stores
    ]
    for source, (_, target, origin) in zip(sources, stores, strict=True):
        state.ops.append(Store(origin, source, target))
    return results


def _cannot_lower(state: ImportState, reasons: dict[str, UserError]) -> UserError:
    names = ", ".join(f"'{name}' ({count})" for name, count in sorted(state.unsupported.items()))
    notes = list(dict.fromkeys(_reasons(reasons)))
    return UserError(
        f"the accelerator cannot run {sum(state.unsupported.values())} operations: {names}",
        notes=notes,
    )


def _reasons(reasons: dict[str, UserError]) -> Iterator[str]:
    for error in reasons.values():
        yield error.message
        yield from error.notes

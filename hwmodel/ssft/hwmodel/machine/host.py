"""The host's way to DRAM buffers: arrays of the tensor's own shape, converted and laid out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import DramBuffer
from ssft.hwmodel.machine.errors import UninitializedError
from ssft.hwmodel.machine.footprints import Footprint
from ssft.hwmodel.machine.memory import Memory
from ssft.hwmodel.machine.operations import FLOATS
from ssft.hwmodel.machine.rounding import COMPUTE, STORAGE, bf16_bits, round_to_bf16, to_compute


def _order(buffer: DramBuffer) -> tuple[int, ...]:
    return buffer.order or tuple(range(len(buffer.shape)))


def write_buffer(memory: Memory, buffer: DramBuffer, array: ArrayLike) -> None:
    """Stores an array; floats are rounded to nearest even, integers must fit."""
    values = np.asarray(array)
    if values.shape != buffer.shape:
        raise MachineError(
            f"buffer '{buffer.name}' has shape {buffer.shape}, but the array has {values.shape}"
        )
    stored = np.ascontiguousarray(_convert(values, buffer).transpose(_order(buffer)))
    count = stored.nbytes
    if count != buffer.bytes:
        raise MachineError(f"buffer '{buffer.name}' has {buffer.bytes} bytes, not {count}")
    memory.data[buffer.address : buffer.address + count] = stored.reshape(-1).view(np.uint8)
    memory.mark(buffer.address, Footprint.block(count))


def _convert(values: NDArray, buffer: DramBuffer) -> NDArray:
    target = COMPUTE[buffer.dtype]
    # Types from elsewhere, such as bfloat16, are no numbers to NumPy, but convert to them.
    if values.dtype.kind not in "biuf":
        values = values.astype(np.float32)
    if buffer.dtype in FLOATS:
        if buffer.dtype == "bf16":
            if values.dtype.itemsize < 4 or values.dtype.kind != "f":
                values = values.astype(np.float32 if values.dtype.itemsize < 3 else np.float64)
            return bf16_bits(round_to_bf16(values))
        with np.errstate(over="ignore"):
            return values.astype(target)
    with np.errstate(invalid="ignore"):
        converted = values.astype(target)
    if not np.array_equal(converted, values):
        raise MachineError(f"an element of the array does not fit '{buffer.name}', {buffer.dtype}")
    return converted.astype(STORAGE[buffer.dtype])


def read_buffer(memory: Memory, buffer: DramBuffer) -> NDArray:
    """A copy of a buffer in the tensor's own order; a bf16 buffer comes as f32."""
    address = memory.first_undefined(buffer.address, Footprint.block(buffer.bytes))
    if address is not None:
        raise UninitializedError(
            f"buffer '{buffer.name}' is undefined from byte {address - buffer.address:#x}"
        )
    order = _order(buffer)
    shape = tuple(buffer.shape[dimension] for dimension in order)
    count = int(np.prod(shape, dtype=np.int64))
    stored = memory.packed(buffer.address, STORAGE[buffer.dtype], count).reshape(shape)
    values = to_compute(stored, buffer.dtype)
    return np.array(values.transpose(np.argsort(order)) if order else values)

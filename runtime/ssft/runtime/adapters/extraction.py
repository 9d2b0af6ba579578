"""From a trained session to an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ssft.compiler.masks import Lists
from ssft.compiler.permutation import axis_orders
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature
from ssft.compiler.weights import Array
from ssft.runtime.adapters.adapter import Adapter, Part, tensor_hash
from ssft.runtime.index_lists import ever_trained
from ssft.runtime.layout import original


def extract(
    signature: StepSignature,
    trained: Mapping[str, np.ndarray],
    stored: Mapping[str, Array],
    history: Sequence[Lists] = (),
) -> Adapter:
    """The adapter of a plan.

    Args:
        signature: of the plan.
        trained: all parameters after training, in original order.
        stored: all parameters before it, laid out as the plan does.
        history: the contents of index lists, one entry per choice: what trained under any of them
            belongs to the adapter.
    """
    orders = axis_orders(signature.permutations)
    base: dict[str, Array] = {}
    for argument in signature.parameters:
        data = stored[argument.name].data.reshape(argument.shape)
        base[argument.name] = Array(argument.dtype, original(data, argument, orders))
    parts = [
        part
        for argument in signature.with_role("trainable")
        for part in _parts(argument, trained[argument.name], base[argument.name].data, history)
    ]
    # What the forward pass itself writes, such as running statistics, is changed as well.
    parts += [
        part
        for argument in signature.parameters
        if argument.buffer and not _equal(trained[argument.name], base[argument.name].data)
        for part in _parts(argument, trained[argument.name], base[argument.name].data)
    ]
    hashes = {a.name: tensor_hash(base[a.name]) for a in signature.parameters if not a.buffer}
    aliases = {a.name: a.aliases for a in signature.parameters if a.aliases}
    about = {"method": signature.method} if signature.method else {}
    return Adapter(tuple(parts), hashes, aliases, about)


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.asarray(a, order="C").tobytes() == np.asarray(b, order="C").tobytes()


def _parts(
    argument: ArgumentInfo, trained: np.ndarray, base: np.ndarray, history: Sequence[Lists] = ()
) -> list[Part]:
    """The disjoint rectangles of a parameter that trained."""
    found = []
    for rows, columns in ever_trained(argument, history):
        empty = Part(argument.name, argument.shape, argument.dtype, rows, columns, base, base)
        values, before = (np.array(array[empty.index]) for array in (trained, base))
        found.append(
            Part(argument.name, argument.shape, argument.dtype, rows, columns, values, before)
        )
    return found

"""The ``ssft`` dialect: slices of tensors, their gradients and updates, and barriers."""

from ssft.dialects.ssft.barrier import BarrierOp
from ssft.dialects.ssft.dialect import Ssft
from ssft.dialects.ssft.gradient import WeightGradOp
from ssft.dialects.ssft.slices import GatherOp, SaveSliceOp, ScatterAddOp, ScatterOp
from ssft.dialects.ssft.update import UpdateOp, YieldOp

OPERATIONS = (
    *(GatherOp, ScatterOp, ScatterAddOp, SaveSliceOp, WeightGradOp, UpdateOp, YieldOp, BarrierOp),
)
"""Every operation class of the dialect, in the order of the reference page."""

__all__ = [
    "OPERATIONS",
    "BarrierOp",
    "GatherOp",
    "SaveSliceOp",
    "ScatterAddOp",
    "ScatterOp",
    "Ssft",
    "UpdateOp",
    "WeightGradOp",
    "YieldOp",
]

"""The ``ssft`` dialect: slices of tensors, gradients of slices, updates of slices."""

from ssft.dialects.ssft.dialect import Ssft
from ssft.dialects.ssft.gradient import WeightGradOp
from ssft.dialects.ssft.slices import GatherOp, SaveSliceOp, ScatterAddOp, ScatterOp
from ssft.dialects.ssft.update import UpdateOp, YieldOp

OPERATIONS = (GatherOp, ScatterOp, ScatterAddOp, SaveSliceOp, WeightGradOp, UpdateOp, YieldOp)
"""Every operation class of the dialect, in the order of the reference page."""

__all__ = [
    "OPERATIONS",
    "GatherOp",
    "SaveSliceOp",
    "ScatterAddOp",
    "ScatterOp",
    "Ssft",
    "UpdateOp",
    "WeightGradOp",
    "YieldOp",
]

"""The ``ssft_hw`` dialect: programs of the accelerator, one operation per command."""

from ssft.dialects.ssft_hw.command import CommandOp
from ssft.dialects.ssft_hw.dialect import QUEUES, SsftHw
from ssft.dialects.ssft_hw.micro_program import MicroOpOp, MicroProgramOp, NestOp
from ssft.dialects.ssft_hw.program import COMMAND_OPERATIONS, ProgramOp, QueueOp
from ssft.dialects.ssft_hw.tables import ArgumentsOp, BufferOp, ContractionOp, SlotOp, SourceOpOp

OPERATIONS = (
    ProgramOp,
    QueueOp,
    SourceOpOp,
    ContractionOp,
    MicroProgramOp,
    NestOp,
    MicroOpOp,
    ArgumentsOp,
    BufferOp,
    SlotOp,
    *COMMAND_OPERATIONS,
)
"""Every operation class of the dialect, in the order of the reference page."""

__all__ = [
    "COMMAND_OPERATIONS",
    "OPERATIONS",
    "QUEUES",
    "ArgumentsOp",
    "BufferOp",
    "CommandOp",
    "ContractionOp",
    "MicroOpOp",
    "MicroProgramOp",
    "NestOp",
    "ProgramOp",
    "QueueOp",
    "SlotOp",
    "SourceOpOp",
    "SsftHw",
]

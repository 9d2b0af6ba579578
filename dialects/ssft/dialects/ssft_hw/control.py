"""Commands that every queue may execute: they order the others and mark places."""

from ssft.dialects.ssft_hw.command import CommandOp
from ssft.dialects.ssft_hw.dialect import QUEUES, SsftHw


class WaitOp(CommandOp, dialect=SsftHw, mnemonic="sem.wait", queues=QUEUES, payload={}):
    """Does nothing but wait: for commands that depend on more than one queue."""


class PostOp(
    CommandOp,
    dialect=SsftHw,
    mnemonic="sem.post",
    queues=QUEUES,
    payload={"semaphore": 8, "amount": 32},
):
    """Adds `amount` to semaphore `semaphore` once all earlier commands of the queue are done."""


class FenceOp(CommandOp, dialect=SsftHw, mnemonic="fence", queues=QUEUES, payload={}):
    """Holds the queue until all its earlier commands are complete."""


class MarkOp(CommandOp, dialect=SsftHw, mnemonic="mark", queues=QUEUES, payload={}):
    """Says in traces that the queue has arrived at the source operation of its tag."""

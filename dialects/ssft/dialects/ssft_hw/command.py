"""What the operations of all commands have in common."""

from __future__ import annotations

import inspect
from typing import Any

from ssft.dialects._mlir import ir
from ssft.dialects.spec import ConstraintViolation, Operation, require

HEAD = {"tag": 16, "wait": 4, "wait_value": 32, "post": 4}
"""Attributes of every command and their widths in bits; all but `tag` may be left out."""

SEMAPHORES = 15
QUEUE_OPERATION = "ssft_hw.queue"


class CommandOp(Operation):
    """A command. Subclasses are one line of the machine's table of commands.

    `MNEMONIC` is the command's name in assembly; `PAYLOAD` are the names of its fields and their
    widths in bits, in the order in which the machine has them.
    """

    # No annotations here: those of an operation declare its operands and attributes.
    MNEMONIC = ""
    QUEUES = tuple[str, ...]()
    PAYLOAD = dict[str, int]()  # noqa: RUF012

    def __init_subclass__(
        cls, *, mnemonic: str, queues: tuple[str, ...], payload: dict[str, int], **options: Any
    ) -> None:
        """Declares the fields as attributes, and writes them into the docstring."""
        cls.MNEMONIC, cls.QUEUES, cls.PAYLOAD = mnemonic, queues, payload
        cls.__annotations__ = dict.fromkeys(("tag", *payload), ir.IntegerAttr)
        name = mnemonic.replace(".", "_")
        cls.__doc__ = _specification(cls, name)
        super().__init_subclass__(name=name, **options)

    def verify_invariants(self) -> bool:
        """MLIR's verifier hook; called for tens of thousands of commands."""
        try:
            self.check()
        except ConstraintViolation as violation:
            self.location.emit_error(f"'{self.OPERATION_NAME}' op {violation}")
            return False
        return True

    def check(self) -> None:
        """Checks C1 to C3."""
        attributes = self.attributes
        for name, bits in self.PAYLOAD.items():  # command_c1
            require(name in attributes, f"requires attribute '{name}'")
            _check_width(attributes[name], name, bits)
        require("tag" in attributes, "requires attribute 'tag'")  # command_c2
        for name, bits in HEAD.items():  # command_c2
            if name in attributes:
                value = _check_width(attributes[name], name, bits)
                require(
                    bits != 4 or value < SEMAPHORES,
                    f"attribute '{name}' is {value}, expected a semaphore from 0 to 14",
                )
        parent = self.operation.parent
        require(  # command_c3
            parent is None or parent.name == QUEUE_OPERATION,
            f"must stand in '{QUEUE_OPERATION}'",
        )


def _check_width(value: ir.Attribute, name: str, bits: int) -> int:
    """Returns the number that an attribute is, which must fit its field."""
    if not isinstance(value, ir.IntegerAttr) or str(value.type) != "i64":
        raise ConstraintViolation(f"attribute '{name}' must be an i64 integer, but is {value}")
    number = value.value
    require(not number >> bits, f"attribute '{name}' is {number}, which does not fit {bits} bits")
    return number


def _specification(cls: type[CommandOp], name: str) -> str:
    """The docstring, with the constraints and an example that follow from the table."""
    widths = ", ".join(f"`{field}` {bits}" for field, bits in cls.PAYLOAD.items())
    fields = f"its fields fit their bits: {widths}" if widths else "it has no fields"
    queues = "any queue" if len(cls.QUEUES) == 5 else " or ".join(f"``{q}``" for q in cls.QUEUES)
    values = ", ".join(f"{field} = {n} : i64" for n, field in enumerate(("tag", *cls.PAYLOAD)))
    return f"""{inspect.getdoc(cls)}

In assembly: ``{cls.MNEMONIC}``.

Constraints:

* (C1) Given as ``i64`` attributes, {fields}.
* (C2) `tag` fits 16 bits. Of the following each may be left out: `wait` and `post` are semaphores,
  0 to 14, and `wait_value` fits 32 bits.
* (C3) It stands in ``{QUEUE_OPERATION}``; its queue is {queues}.

Example::

    "ssft_hw.{name}"() {{{values}}} : () -> ()
"""

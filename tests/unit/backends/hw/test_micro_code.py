"""Positions in looked-up tensors as code."""

from __future__ import annotations

from hw_graphs import buffer, op

from ssft.compiler.backends.hw.graph import Lookup
from ssft.compiler.backends.hw.tiles.micro_code import with_lookups


def evaluated(code, registers, loops) -> list:
    """Runs micro-code; an ``extract`` gives (slot, position)."""
    registers = list(registers)
    for one in code:
        values = [registers[r] for r in one.operands]
        match one.name:
            case "constant":
                registers.append(one.immediate)
            case "index":
                registers.append(loops[one.immediate])
            case "muli":
                registers.append(values[0] * values[1])
            case "addi" | "addf":
                registers.append(values[0] + values[1])
            case "extract":
                registers.append((one.immediate, values[0]))
    return registers


def test_code_without_lookups_is_left_alone():
    code = [op("addf", 0, 1)]
    assert with_lookups(code, [2], [], [], 2) == (code, [2])


def test_positions_come_from_registers_and_loops():
    table = Lookup(buffer("table", 60), 7, (3, 4, 5), (20, 5, 1), (None, 1, None))
    other = Lookup(buffer("other", 9), 0, (9,), (1,), (None,))
    code = [
        op("addf", 0, 1),
        op("extract", 0, -1, 2, immediate=0),
        op("extract", 1, immediate=1),
        op("addf", 2, 2),
    ]
    found, results = with_lookups(code, [5, 3, 4], [table, other], [8, 9], 2)
    registers = evaluated(found, [2, 1], loops=[100, 3])
    # The sum of registers 0 and 1 is 3; the table's place is 7 + 2*20 + 3*5 + 3*1.
    assert [registers[r] for r in results] == [6, (8, 65), (9, 1)]

"""What tensors are for: of each phase, with checkpoints, and where memory is used again."""

from __future__ import annotations

from functools import cache
from itertools import combinations

from hw_traffic import check_traffic
from side_by_side import EXAMPLES

from ssft.compiler import Recipe, compile_file
from ssft.compiler.backends.hw import compile_program
from ssft.compiler.driver import Options
from ssft.compiler.memory_fit import MemoryRequest
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import Program

SMALL = "scratchpad.bytes=96KiB"
"""Nearly everything goes through DRAM."""
EDGE = load_machine("ssft-edge", [SMALL])

LAYERS, TOKENS, SEQUENCE, WIDTH = 2, 64, 32, 64
"""Of examples/tiny_llama.py."""


@cache
def plan(checkpoint: str | None = None) -> str:
    options = Options(memory=MemoryRequest.of(checkpoint, None))
    return compile_file(EXAMPLES / "tiny_llama.py", Recipe("full"), options=options).text()


@cache
def program(checkpoint: str | None = None) -> Program:
    return compile_program(plan(checkpoint), EDGE)


def shapes(made: Program, purpose: str) -> list[tuple[int, ...]]:
    """Of the tensors of a purpose that have room of their own in DRAM."""
    return [buffer.shape for buffer in made.dram if buffer.purpose == purpose]


def test_nothing_is_a_checkpoint_without_recomputation():
    made = program()
    assert not shapes(made, "checkpoint")
    purposes = {slot.purpose for slot in made.spm}
    assert purposes == {"weight", "activation", "gradient", "optimizer", "index", "input", "output"}
    traffic = check_traffic(made, EDGE).traffic()
    for way in ("read", "write"):
        assert traffic[way]["activation"] and traffic[way]["gradient"]
        assert not traffic[way]["checkpoint"]


def test_what_crosses_layers_is_kept_for_doing_them_again():
    """What each layer starts from, and the masks and tables of angles that all of them read."""
    kept = shapes(program("layer"), "checkpoint")
    hidden = [shape for shape in kept if shape == (TOKENS // SEQUENCE, SEQUENCE, WIDTH)]
    assert len(hidden) == LAYERS
    assert all(shape[0] == SEQUENCE for shape in kept if shape not in hidden)
    traffic = check_traffic(program("layer"), EDGE).traffic("dram_useful_bytes")
    assert traffic["write"]["checkpoint"] < traffic["read"]["checkpoint"]
    assert traffic["write"]["checkpoint"] >= LAYERS * TOKENS * WIDTH * 4


def test_memory_that_is_used_again_is_counted_as_whose_it_is():
    """The commands are the same but for addresses in DRAM, so the bytes of purposes are, too."""
    wide = program()
    assert all(buffer.first is None for buffer in wide.dram)
    tight = load_machine("ssft-edge", [SMALL, f"dram.bytes={wide.dram_bytes}"])
    dense = compile_program(plan(), tight)
    assert dense.dram_bytes < wide.dram_bytes
    assert any(
        one.purpose != other.purpose
        and one.address < other.address + other.bytes
        and other.address < one.address + one.bytes
        for one, other in combinations(dense.dram, 2)
    )
    expected, found = check_traffic(wide, EDGE), check_traffic(dense, tight)
    assert expected.traffic("dram_useful_bytes") == found.traffic("dram_useful_bytes")
    for way, traffic in expected.scratchpad_traffic.items():
        assert traffic.by_purpose() == found.scratchpad_traffic[way].by_purpose()

"""What `check` finds in programs, and what it leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from hw_programs import few, many, matmul_program, programs, small_machine
from hypothesis import given
from hypothesis import strategies as st

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import (
    NO_LIST,
    Access,
    AccumulateScore,
    AdamRows,
    Command,
    Contraction,
    CountRowsColumns,
    Dim,
    Fence,
    GatherColumns,
    GatherRows,
    Gemm,
    Load2D,
    Mark,
    MicroOp,
    MicroProgram,
    Post,
    Program,
    Queue,
    ScatterAddRows,
    ScatterColumns,
    ScatterRows,
    SgdRows,
    Slot,
    Store2D,
    TopK,
    Vector,
    Wait,
)
from ssft.hwmodel.isa.check import check, problems

MACHINE = small_machine(spm=1000, dram=10_000)


def test_a_good_program_has_no_problems():
    machine = small_machine(spm=1024, dram=896)  # to the byte
    assert problems(matmul_program(), machine) == []
    check(matmul_program(), machine)


@given(programs())
@few
def test_any_program_can_be_checked(program):
    assert all(isinstance(problem, str) for problem in problems(program, MACHINE))


def found(queue: Queue, command: Command, program: Program | None = None) -> list[str]:
    program = program or Program("m", "f32")
    program.queues[queue].append(command)
    where = f"queue {queue.name.lower()}, command {len(program.queues[queue]) - 1} "
    prefix = f"{where}({command.MNEMONIC}): "
    messages = problems(program, MACHINE)
    assert all(message.startswith(prefix) for message in messages), messages
    return [message.removeprefix(prefix) for message in messages]


ROWS = dict(dram=0, spm=0, index=900, count=10, row_bytes=90, pitch=100)
COLUMNS = dict(dram=0, spm=0, index=960, rows=10, count=5, element_bytes=4, pitch=1000)
COPY = dict(dram=0, spm=0, rows=10, row_bytes=100, pitch=1000)


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        (Load2D(**COPY), {"spm": 1, "rows": 11, "row_bytes": 101, "dram": 901, "pitch": 1101}),
        (Store2D(**COPY), {"spm": 1, "rows": 11, "row_bytes": 101, "dram": 901, "pitch": 1101}),
        (GatherRows(**ROWS), {"spm": 101, "index": 921, "row_bytes": 101, "dram": 9911}),
        (ScatterRows(**ROWS), {"spm": 101, "index": 921, "row_bytes": 101, "dram": 9911}),
        (GatherColumns(**COLUMNS), {"spm": 801, "index": 961, "element_bytes": 3, "dram": 997}),
        (ScatterColumns(**COLUMNS), {"spm": 801, "index": 961, "rows": 51, "pitch": 1111}),
        (
            ScatterAddRows(
                target=0, source=500, index=900, count=10, row_elements=10, first=7, rows=25
            ),
            {"target": 1, "source": 601, "index": 921, "count": 13, "row_elements": 11, "rows": 26},
        ),
        (
            AccumulateScore(gradient=0, score=500, elements=125),
            {"gradient": 501, "score": 501, "elements": 126, "square": 2},
        ),
        (
            CountRowsColumns(score=0, counts=960, rows=10, columns=24, threshold=0),
            {"score": 41, "counts": 961, "rows": 11, "columns": 26, "by_column": 1},
        ),
        (TopK(values=0, index=800, count=250, k=25), {"values": 1, "index": 801, "count": 251}),
        (TopK(values=0, index=0, count=5, k=5), {"k": 6, "count": 4}),
    ],
)
def test_operands_lie_in_the_memories(command, changes):
    """The commands fill the memories to the last byte; one more is too many."""
    (queue,) = command.QUEUES
    assert found(queue, command) == []
    for name, value in changes.items():
        messages = found(queue, dataclasses.replace(command, **{name: value}))
        assert messages
        if name in ("spm", "index", "target", "source", "gradient", "score", "counts", "values"):
            assert [text.split()[0] for text in messages] == [f"'{name}'"]


def test_messages_about_operands_say_which_bytes():
    command = Load2D(**{**COPY, "spm": 1})
    assert found(Queue.DMA_IN, command) == [
        "'spm' takes bytes 0x1 to 0x3e9, but the scratchpad has 1000"
    ]
    command = Load2D(**{**COPY, "dram": 901})
    assert found(Queue.DMA_IN, command) == [
        "it takes DRAM bytes 0x385 to 0x2711, but the DRAM has 10000"
    ]


@pytest.mark.parametrize("size", ["rows", "row_bytes"])
def test_nothing_is_nowhere(size):
    assert found(Queue.DMA_IN, Load2D(**{**COPY, size: 0, "dram": 2**48 - 1})) == []
    assert found(Queue.DMA_IN, GatherRows(**{**ROWS, "count": 0, "spm": 2**32 - 1})) == []


def test_each_command_has_its_queues():
    assert found(Queue.DMA_OUT, Load2D(**COPY)) == ["only dma_in may execute it"]
    for queue in Queue:
        assert found(queue, Fence()) == []


def test_tags_are_operations():
    assert found(Queue.INDEX, Mark()) == []
    assert found(Queue.INDEX, Mark(tag=1)) == ["its tag is 1, but there are 0 operations"]
    program = Program("m", "f32", operations=matmul_program().operations)
    assert found(Queue.INDEX, Mark(tag=1), program) == []
    assert found(Queue.INDEX, Mark(tag=2), program) == ["its tag is 2, but there are 2 operations"]


def test_a_post_is_of_a_semaphore():
    message = "'semaphore' is 15, expected 0 to 14"
    assert found(Queue.INDEX, Post(semaphore=15, amount=1)) == [message]


def matmul(**changes) -> Program:
    """A contraction that fits the scratchpad in some ways."""
    dims = (Dim("m", 4, 8, 0, 6), Dim("n", 6, 0, 1, 1), Dim("k", 8, 1, 6, 0))
    return Program("m", "f32", contractions=[dataclasses.replace(Contraction(dims), **changes)])


@pytest.mark.parametrize(
    ("changes", "command", "message"),
    [
        ({}, {}, None),
        ({}, {"a": 872, "b": 808, "c": 904}, None),
        ({}, {"a": 873}, "'a' takes bytes 0x369 to 0x3e9, but the scratchpad has 1000"),
        ({}, {"b": 809}, "'b' takes bytes 0x329 to 0x3e9, but the scratchpad has 1000"),
        ({}, {"c": 905}, "'c' takes bytes 0x389 to 0x3e9, but the scratchpad has 1000"),
        ({"a_dtype": "bf16"}, {"a": 936}, None),
        ({"a_dtype": "bf16"}, {"a": 937}, "'a' takes bytes 0x3a9 to 0x3e9, but"),
        ({}, {"shape": 1}, "'shape' is 1, but there are 1 contractions"),
        ({}, {"accumulate": 2}, "'accumulate' is 2, expected 0 or 1"),
        ({}, {"index": 0}, "it has an index list, but contraction 0 has no indexed dimension"),
        ({"indexed": 0}, {}, "it has no index list, but contraction 0 has an indexed dimension"),
        ({"indexed": 0}, {"index": 968, "a": 968}, None),  # at least the row at the address
        ({"indexed": 0}, {"index": 969}, "'index' takes bytes 0x3c9 to 0x3e9"),
        ({"indexed": 0}, {"index": 0, "a": 969}, "'a' takes bytes 0x3c9 to 0x3e9"),
        ({"indexed": 1}, {"index": 0, "a": 969}, "'a' takes bytes 0x3c9 to 0x449"),
        ({"indexed": 1}, {"index": 0, "b": 829}, "'b' takes bytes 0x33d to 0x3e9"),
    ],
)
def test_gemms(changes, command, message):
    values = {"a": 0, "b": 0, "c": 0, "shape": 0, "index": NO_LIST, **command}
    messages = found(Queue.TENSOR, Gemm(**values), matmul(**changes))
    assert len(messages) == (message is not None)
    assert all(text.startswith(message) for text in messages)


def test_operands_may_be_walked_backwards():
    back = matmul(dims=(Dim("m", 4, -8, 0, 6), Dim("n", 6, 0, 1, 1), Dim("k", 8, 1, 6, 0)))
    assert found(Queue.TENSOR, Gemm(a=96, b=0, c=0, shape=0), back) == []
    (message,) = found(Queue.TENSOR, Gemm(a=95, b=0, c=0, shape=0), back)
    assert message == "'a' takes bytes -0x1 to 0x7f, but the scratchpad has 1000"


@pytest.mark.parametrize("kind", [Vector, AdamRows, SgdRows])
def test_vectors(kind):
    def program(*addresses) -> Program:
        slots = (Slot("f32", 10, "in"), Slot("bf16", 20, "out"), Slot("f64", 10**9, "temporary"))
        return Program(
            "m", "f32", micro_programs=[MicroProgram("k", slots, ())], arguments=[addresses]
        )

    run = kind(program=0, arguments=0)
    assert found(Queue.VECTOR, run, program(960, 960)) == []
    assert found(Queue.VECTOR, run, program(0, 961)) == [
        "'operand 1' takes bytes 0x3c1 to 0x3e9, but the scratchpad has 1000"
    ]
    assert found(Queue.VECTOR, run, program(0)) == [
        "argument list 0 has 1 addresses, but micro-program 0 has 2 operands"
    ]
    assert found(Queue.VECTOR, kind(program=0, arguments=1), program(0, 0)) == [
        "'arguments' is 1, but there are 1 argument lists"
    ]
    assert found(Queue.VECTOR, kind(program=1, arguments=0), program(0, 0)) == [
        "'program' is 1, but there are 1 micro-programs"
    ]


def test_what_has_no_encoding_is_a_problem():
    program = Program("m", "f32")
    program.queues[Queue.INDEX] = [Fence(), TopK(values=-1, index=0, count=1, k=1)]
    program.queues[Queue.TENSOR] = [Wait(wait=99)]
    assert problems(program, MACHINE) == [
        "queue tensor, command 0 (sem.wait): 'wait' is 99, which is not a semaphore",
        "queue index, command 1 (idx.topk): 'values' is -1, which does not fit its 32 bits",
    ]


def changed(table: str, **changes) -> Callable[[], Program]:
    """`matmul_program` with another first entry of a table."""

    def make() -> Program:
        program = matmul_program()
        entries = getattr(program, table)
        entries[0] = dataclasses.replace(entries[0], **changes)
        return program

    return make


def nest(**changes) -> Callable[[], Program]:
    program = matmul_program().micro_programs[0]
    return changed("micro_programs", nests=(dataclasses.replace(program.nests[0], **changes),))


def code(*ops: MicroOp) -> Callable[[], Program]:
    return nest(code=ops, results=(2,))


M, N, K = matmul_program().contractions[0].dims


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (changed("contractions", dims=(M, N, dataclasses.replace(K, extent=0))),
         "contraction 0: dimension 2 has extent 0, expected at least 1"),
        (changed("contractions", dims=(M, N, dataclasses.replace(K, c=1))),
         "contraction 0: dimension 2 is summed over, but moves c by 1"),
        (changed("contractions", lane_tile=(0, 8)),
         "contraction 0: its lane tile is 0 by 8, expected at least 1 by 1"),
        (changed("contractions", indexed=3),
         "contraction 0: its indexed dimension is 3, but it has 3"),
        (changed("contractions", indexed=2),
         "contraction 0: its indexed dimension is of kind k, expected m or n"),
        (changed("micro_programs", slots=(Slot("f32", 32, "temporary"), Slot("f32", 32, "out"))),
         "micro-program 0 (relu): slot 1 is an operand, but comes after a temporary"),
        (changed("micro_programs", slots=(Slot("f32", -1, "in"), Slot("f32", 32, "out"))),
         "micro-program 0 (relu): slot 0 has -1 elements"),
        (nest(extents=(-1,)), "nest 0: its extents are [-1], expected none below 0"),
        (nest(reduction=()), "nest 0: it has 1 dimensions, but says of 0 whether they reduce"),
        (nest(origins=((1, 1), (1, 1))), "nest 0: it has 1 dimensions, but origins of 2"),
        (nest(origins=((0, 1),)), "nest 0: its origins have a divisor or modulus below 1"),
        (nest(inputs=(Access(2, 0, (1,)),)), "nest 0: input 0 is of slot 2, but there are 2"),
        (nest(inputs=(Access(0, 0, ()),)), "nest 0: input 0 has 0 strides for 1 dimensions"),
        (nest(inputs=(Access(0, 1, (1,)),)),
         "nest 0: input 0 walks over elements 1 to 32 of slot 0, which has 32"),
        (nest(outputs=(Access(1, 30, (-1,)),)),
         "nest 0: output 0 walks over elements -1 to 30 of slot 1, which has 32"),
        (nest(outputs=(Access(0, 0, (1,)),)),
         "nest 0: output 0 writes slot 0, which is for reading"),
        (nest(results=()), "nest 0: it has 1 outputs, but 0 results"),
        (nest(results=(4,)), "nest 0: its result %4 is not one of its 4 registers"),
        (code(MicroOp("absf", (2,), "f32")), "register %2 (absf) uses %2, which comes later"),
        (code(MicroOp("index", (), "i64", 1)), "register %2 (index) is of dimension 1 of 1"),
        (code(MicroOp("extract", (0,), "f32", None)), "(extract) is of slot None of 2"),
        (changed("dram", address=2**24), "buffer 'x': bytes 0x1000000 to 0x1000100 are not all in"),
        (changed("dram", shape=(4, 15)), "'x': it has 256 bytes, but 4x15xf32 takes 240"),
        (changed("dram", order=(0, 0)), "'x': its order [0, 0] is none of its 2 dimensions"),
        (changed("dram", data=b"1"), "buffer 'x': it has 256 bytes, but contents of 1"),
        (changed("spm", address=2**16), "slot 'x': bytes 0x10000 to 0x10100 are not all in"),
        (changed("spm", buffers=3), "slot 'x': its 256 bytes cannot be cut into 3 buffers"),
        (changed("spm", buffers=0), "slot 'x': its 256 bytes cannot be cut into 0 buffers"),
        (changed("spm", first=2), "slot 'x': it lives from kernel 2 to kernel 0"),
    ],
)  # fmt: skip
def test_tables(make, message):
    messages = problems(make(), small_machine())
    assert any(message in text for text in messages), messages


def test_extents_in_use_fit_the_machine():
    program = dataclasses.replace(Program("m", "f32"), spm_bytes=1001, dram_bytes=10_001)
    assert problems(program, MACHINE) == [
        "'dram_bytes' is 10001, but the machine has 10000",
        "'spm_bytes' is 1001, but the machine has 1000",
    ]


def queues(**commands: list[Command]) -> Program:
    program = Program("m", "f32")
    for name, some in commands.items():
        program.queues[Queue[name.upper()]] = some
    return program


def test_a_wait_for_more_than_is_posted_is_found():
    program = queues(
        vector=[Fence(post=3), Post(semaphore=3, amount=4)],
        index=[Wait(wait=3, wait_value=5), Wait(wait=3, wait_value=6), Fence()],
    )
    assert problems(program, MACHINE) == [
        "queue index, command 1 (sem.wait) waits for semaphore 3 to reach 6, but the whole program "
        "posts it 5 times"
    ]


def test_a_cycle_is_found():
    program = queues(
        tensor=[Fence(post=2), Wait(wait=3, wait_value=1, post=2)],
        vector=[Wait(wait=2, wait_value=2), Fence(post=3)],
        index=[Wait(wait=2, wait_value=1, post=4)],
    )
    assert problems(program, MACHINE) == [
        "queue tensor, command 1 (sem.wait) never starts: it waits for semaphore 3 to reach 1, "
        "which stays at 0; the next to post it is queue vector, command 1 (fence), which never "
        "starts either",
        "queue vector, command 0 (sem.wait) never starts: it waits for semaphore 2 to reach 2, "
        "which stays at 1; the next to post it is queue tensor, command 1 (sem.wait), which never "
        "starts either",
    ]


def test_a_queue_may_wait_for_itself():
    assert problems(queues(index=[Fence(post=0), Wait(wait=0, wait_value=1)]), MACHINE) == []
    own = queues(index=[Wait(wait=0, wait_value=1, post=0)])
    (message,) = problems(own, MACHINE)
    assert "never starts: it waits for semaphore 0 to reach 1, which stays at 0" in message


@st.composite
def semaphore_programs(draw) -> Program:
    """Commands that do nothing but wait and post, on few semaphores."""
    semaphore = st.integers(0, 2)
    waits = st.builds(
        Wait,
        wait=st.none() | semaphore,
        wait_value=st.integers(0, 4),
        post=st.none() | semaphore,
    )
    posts = st.builds(Post, semaphore=semaphore, amount=st.integers(0, 2), post=st.none())
    return queues(
        **{q.name: draw(st.lists(waits | posts, max_size=4)) for q in Queue if q % 2 == 0}
    )


@given(semaphore_programs(), st.randoms(use_true_random=False))
@many
def test_any_order_of_execution_ends_as_predicted(program, random):
    """Executes ready commands in a random order, as a machine might."""
    at, counts = dict.fromkeys(Queue, 0), dict.fromkeys(range(15), 0)

    def ready() -> list[Queue]:
        heads = {q: program.queues[q][n] for q, n in at.items() if n < len(program.queues[q])}
        return [q for q, c in heads.items() if c.wait is None or counts[c.wait] >= c.wait_value]

    while choices := ready():
        queue = random.choice(choices)
        command = program.queues[queue][at[queue]]
        at[queue] += 1
        if command.post is not None:
            counts[command.post] += 1
        if isinstance(command, Post):
            counts[command.semaphore] += command.amount
    stops = {q for q, n in at.items() if n < len(program.queues[q])}
    messages = problems(program, MACHINE)
    assert bool(messages) == bool(stops)
    for queue in stops:
        where = f"queue {queue.name.lower()}, command {at[queue]} (sem."
        assert any(message.startswith(where) for message in messages)


def test_an_error_lists_the_first_and_counts_the_rest():
    with pytest.raises(MachineError) as caught:
        check(queues(index=[Mark(tag=1)]), MACHINE)
    assert caught.value.message == "the program for 'm' has a problem"
    with pytest.raises(MachineError) as caught:
        check(queues(index=[Mark(tag=1)] * 20), MACHINE)
    assert caught.value.message == "the program for 'm' has 20 problems"
    assert len(caught.value.notes) == 9
    assert caught.value.notes[-1] == "and 12 more"

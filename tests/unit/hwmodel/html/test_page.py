"""The page is one file that loads nothing, and its data are the report's."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from random import Random
from typing import Any

import numpy as np
import pytest
from hw_random_programs import random_program

from ssft.hwmodel.config import load_machine, preset_names
from ssft.hwmodel.isa import Queue
from ssft.hwmodel.report import html_data, report
from ssft.hwmodel.report.html import render
from ssft.hwmodel.timing.events import Simulation, simulate

LOADING = {"src", "href", "srcset", "action", "data", "poster"}
NAMESPACE = "http://www.w3.org/2000/svg"


class Page(HTMLParser):
    """Elements by tag, ids, texts of scripts, and attributes that would load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.loads: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [f"{tag} {name}" for name in given if name in LOADING]
        self.ids |= {given["id"]} if given.get("id") else set()
        if tag in ("link", "iframe", "img", "object"):
            self.loads.append(tag)
        if tag == "script":
            self.scripts.append((given, ""))
        if tag not in ("meta", "input", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            given, text = self.scripts[-1]
            self.scripts[-1] = (given, text + data)

    def data(self, name: str) -> Any:
        return next(json.loads(t) for g, t in self.scripts if g.get("id") == f"data-{name}")


@pytest.fixture(scope="module")
def text(simulation: Simulation) -> str:
    return render(simulation)


def test_it_loads_nothing(text: str):
    page = Page(text)
    assert page.loads == []
    addresses = re.findall(r"https?://[^\s\"'<)]+", text.replace(NAMESPACE, ""))
    assert addresses == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", text)


def test_scripts_find_their_elements(text: str):
    page = Page(text)
    code = "".join(t for g, t in page.scripts if g.get("type") is None)
    wanted = set(re.findall(r'byId\("([\w-]+)"\)', code)) | set(
        re.findall(r'canvas\("([\w-]+)"', code)
    )
    assert len(wanted) > 15
    assert wanted <= page.ids


def test_its_data_are_the_report(simulation: Simulation, text: str):
    page = Page(text)
    assert page.data("report") == json.loads(json.dumps(report(simulation)))
    given = {"cycles": 1.0, "machine": {"name": "m"}, "more": "<b>"}
    assert Page(render(simulation, given)).data("report") == given
    constants = simulation.machine.constants
    assert [c[0] for c in page.data("constants")] == list(constants)
    for key, value, unit, label, source in page.data("constants"):
        constant = constants[key]
        assert json.loads(json.dumps(constant.value)) == value
        assert (constant.unit, constant.label, constant.source) == (unit, label, source)


def commands(found: dict[str, Any]) -> Iterator[tuple[str, int, int, int]]:
    for lane in found["lanes"]:
        for start, leave, count in zip(lane["start"], lane["leave"], lane["count"], strict=True):
            yield lane["unit"], start, leave, count


def test_the_timeline_is_the_simulation(simulation: Simulation, text: str):
    found = Page(text).data("timeline")
    expected = [
        (queue.name.lower(), int(simulation.start[i]), int(simulation.leave[i]), 1)
        for queue in Queue
        for i in range(simulation.of(queue).start, simulation.of(queue).stop)
    ]
    assert list(commands(found)) == expected
    assert sum(lane["producer"] != [] for lane in found["lanes"])
    flat = [p for lane in found["lanes"] for p in lane["producer"]]
    assert flat == simulation.producer.tolist()
    assert found["critical"][0][0] == 0
    assert found["critical"][-1][1] == found["cycles"] == simulation.cycles


def test_long_timelines_are_drawn_with_fewer_pieces(monkeypatch: pytest.MonkeyPatch):
    program = random_program(Random(1), 40)
    copies = {
        queue: [dataclasses.replace(c) for c in commands for _ in range(5)]
        for queue, commands in program.queues.items()
    }
    for commands_ in copies.values():
        for i, command in enumerate(commands_):
            if i % 5:  # waits and posts of the copies would change what the program does
                commands_[i] = dataclasses.replace(command, wait=None, wait_value=0, post=None)
    simulation = simulate(dataclasses.replace(program, queues=copies), load_machine("ssft-edge"))
    whole = html_data.timeline(simulation)
    monkeypatch.setattr(html_data, "MOST_COMMANDS", 10)
    short = html_data.timeline(simulation)
    pieces = list(commands(short))
    assert sum(count for *_, count in pieces) == len(simulation.stream)
    assert len(pieces) <= len(simulation.stream) / 4
    for lane, drawn in zip(whole["lanes"], short["lanes"], strict=True):
        assert sum(drawn["busy"]) == sum(lane["busy"])
        if lane["start"]:
            assert drawn["start"][0] == lane["start"][0]
            assert drawn["leave"][-1] == lane["leave"][-1]
        assert sorted(drawn["start"]) == drawn["start"]
    count = len(pieces)
    assert all(-1 <= p < count for lane in short["lanes"] for p in lane["producer"])
    assert all(0 <= piece[2] < count for piece in short["critical"])


def test_curves_are_thinned_to_their_means():
    steps = [(3 * i, i % 7) for i in range(50_000)]
    thin = html_data._thinned(steps, 150_000)
    assert len(thin) <= html_data.MOST_STEPS
    assert {value for _, value in thin} <= {3, 4}, "every block is about as high as all are"
    ends = [*(cycle for cycle, _ in thin[1:]), 150_000]
    area = sum(value * (end - cycle) for (cycle, value), end in zip(thin, ends, strict=True))
    assert area == pytest.approx(sum(3 * value for _, value in steps), rel=0.01)
    assert html_data._thinned(steps[:10], 30) == [list(step) for step in steps[:10]]


@pytest.mark.parametrize("preset", preset_names())
def test_every_machine_has_a_page(preset: str):
    made = simulate(random_program(Random(2), 30), load_machine(preset))
    page = Page(render(made))
    slots = page.data("memory")["scratchpad"]["slots"]
    assert [slot[0] for slot in slots] == [slot.name for slot in made.program.spm]


def test_names_cannot_break_out(simulation: Simulation):
    hostile = "</script><script>alert(1)</script>\u2028"
    program = simulation.program
    named = dataclasses.replace(
        program,
        operations=[dataclasses.replace(op, name=hostile) for op in program.operations],
    )
    made = simulate(named, simulation.machine)
    found = report(made)
    found["source"] = {"file": hostile, "tokens": 1}
    text = render(made, found)
    page = Page(text)
    assert page.data("report")["ops"][0]["name"] == hostile
    assert "<script>alert" not in text
    clean = Page(render(simulation))
    assert len(page.scripts) == len(clean.scripts)
    assert np.array_equal(page.ids, clean.ids)

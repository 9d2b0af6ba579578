"""The page in a browser: it draws, zooms and explains, and nothing goes wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ssft.hwmodel.report import report
from ssft.hwmodel.report.html import render
from ssft.hwmodel.timing.events import Simulation

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--window-size=1200,2400", "--virtual-time-budget=4000",
         "--host-resolver-rules=MAP * ~NOTFOUND")  # fmt: skip

COEFFICIENTS = 8
"""How many of the coefficients the page names: those that matter most."""

WATCH = """<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => problems.push(event.blockedURI));
</script>"""

PROBE = """<script>
const probe = { whole: timeline.view() };
const node = byId("timeline"), box = node.getBoundingClientRect();
const inked = (id) => {
  const c = byId(id), data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  return new Set(Array.from({ length: data.length / 4 }, (_, i) =>
    data.slice(4 * i, 4 * i + 3).join())).size;
};
probe.colours = { timeline: inked("timeline"), memory: inked("memory") };
node.dispatchEvent(new WheelEvent("wheel", { deltaY: -400, clientX: box.left + 600,
  clientY: box.top + 60, bubbles: true, cancelable: true }));
probe.zoomed = timeline.view();
byId("zoom-fit").click();
probe.fitted = timeline.view();
setTimeout(() => {
  let seen = null;
  for (let x = 90; x < box.width && !seen; x++)
    for (let y = 30; y < 220 && !seen; y += 10) {
      node.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + x,
        clientY: box.top + y, bubbles: true }));
      if (!byId("tip").hidden) seen = byId("tip").textContent;
    }
  probe.tip = seen;
  probe.rows = Object.fromEntries(["operations", "constants", "buffers", "units", "phases",
    "energy", "traffic", "scratchpad-traffic", "updated", "critical"]
    .map((id) => [id, byId(id).querySelectorAll("tbody tr").length]));
  probe.points = byId("roofline").querySelectorAll("circle").length;
  const head = byId("operations").querySelectorAll("th")[3];
  head.click();
  probe.first = byId("operations").querySelector("tbody td").textContent;
  probe.wide = document.documentElement.scrollWidth > innerWidth;
  probe.problems = problems;
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(probe);
  document.body.append(out);
}, 500);
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    for name in BROWSERS:
        if (path := shutil.which(name)) is not None:
            return path
    pytest.skip(f"the page was not looked at in a browser: none of {', '.join(BROWSERS)} is here")


def look(browser: str, page: Path, *more: str) -> str:
    result = subprocess.run(
        [browser, *FLAGS, *more, f"--user-data-dir={page.parent / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def probe(browser: str, simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Any:
    text = (
        render(simulation).replace("<body>", f"<body>{WATCH}").replace("</body>", PROBE + "</body>")
    )
    page = tmp_path_factory.mktemp("html") / "report.html"
    page.write_text(text, encoding="utf-8")
    found = re.search(r'<pre id="probe">(.*?)</pre>', look(browser, page, "--dump-dom"), re.DOTALL)
    assert found, "the page's scripts did not come to their end"
    return json.loads(unescape(found[1]))


def test_nothing_goes_wrong(probe: Any):
    assert probe["problems"] == []
    assert not probe["wide"], "the page is wider than the window"


def purposes(traffic: dict[str, dict[str, int]]) -> int:
    return len({p for way in traffic.values() for p, n in way.items() if n})


def test_everything_is_drawn(probe: Any, simulation: Simulation):
    found = report(simulation)
    assert probe["rows"] == {
        "operations": len(found["ops"]),
        "constants": len(simulation.machine.constants),
        "buffers": len(simulation.program.dram),
        "units": 5,
        "phases": 4,
        "energy": len(found["energy"]["by_component"]) + COEFFICIENTS,
        "traffic": purposes(found["dram_bytes"]),
        "updated": len(found["updated"]["parameters"]),
        "scratchpad-traffic": purposes(found["spm_bytes_by_purpose"]),
        "critical": len(found["critical_path"]["longest"]),
    }
    assert probe["points"] == sum(p["attained_flops"] > 0 for p in found["roofline"]["points"])
    assert probe["colours"]["timeline"] > 8
    assert len(simulation.program.spm) > 1 and probe["colours"]["memory"] > 8
    longest = max(found["ops"], key=lambda op: op["critical_cycles"])
    assert probe["first"] == longest["name"]


def test_the_timeline_moves_and_explains(probe: Any, simulation: Simulation):
    assert probe["whole"] == probe["fitted"] == [0, simulation.cycles]
    begin, end = probe["zoomed"]
    assert 0 <= begin < end <= simulation.cycles
    assert end - begin < 0.5 * simulation.cycles
    names = {op.name for op in simulation.stream.operations}
    assert probe["tip"].splitlines()[0] in names
    assert re.search(r"from cycle [\d,]+ for [\d,]+ cycles", probe["tip"])


@pytest.mark.parametrize("mode", [(), ("--force-dark-mode",)])
def test_it_can_be_photographed(
    browser: str, simulation: Simulation, tmp_path: Path, mode: tuple[str, ...]
):
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    page.write_text(render(simulation), encoding="utf-8")
    look(browser, page, f"--screenshot={picture}", *mode)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size > 40_000, "a blank page compresses to next to nothing"

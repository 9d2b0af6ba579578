"""``ssft-hw`` as a user calls it: what it shows and writes, and what it says when it cannot."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssft.compiler.backends.hw import compile_program
from ssft.compiler.tools.ssftc import main as ssftc
from ssft.hwmodel.config import load_machine, preset_names
from ssft.hwmodel.experiments import LinearLayer
from ssft.hwmodel.experiments.workload import layer_program
from ssft.hwmodel.isa import Load2D, Program, Queue, SourceOp, encoding
from ssft.hwmodel.isa.assembly import to_text
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import simulate
from ssft.runtime.tools.hw.tiles import column_transfers
from ssft.runtime.tools.ssft_hw import main
from ssft.runtime.tools.ssft_run import main as ssft_run

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hw")


@pytest.fixture(scope="module")
def plan(directory: Path) -> Path:
    path = directory / "plan.mlir"
    model = str(REPOSITORY / "examples" / "tiny_llama.py")
    assert ssftc([model, "-o", str(path), "--recipe", "rows", "--ratio", "0.1"]) == 0
    return path


@pytest.fixture(scope="module")
def program(plan: Path) -> Program:
    return compile_program(plan.read_text(), load_machine("ssft-server"))


@pytest.fixture(scope="module")
def saved(directory: Path, program: Program) -> Path:
    path = directory / "step.ssfthw"
    encoding.save(program, path)
    return path


@pytest.fixture
def hw(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object, status: int = 0) -> str:
        """What the tool printed: its output, or its errors if it is to fail."""
        capsys.readouterr()
        found = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert found == status, err
        return err if status else out

    return run


def test_without_stitching_the_report_is_the_same(hw, plan: Path):
    found = [hw("simulate", plan, "--json", "-", *more) for more in ((), ("--no-stitch",))]
    assert json.loads(found[0]) == json.loads(found[1])
    assert json.loads(found[0])["cycles"]


def test_config_is_another_name_of_machine(hw, saved):
    given = [
        json.loads(hw("simulate", saved, option, "ssft-edge", "--json", "-"))
        for option in ("--machine", "--config")
    ]
    assert given[0]["machine"] == given[1]["machine"]
    assert "ssft-edge" in str(given[0]["machine"])


def test_machines_are_listed_with_their_evidence(hw):
    listed = hw("machines")
    assert all(name in listed for name in preset_names())
    machine = load_machine("ssft-edge", ["dram.latency=70ns"])
    shown = hw("machines", "ssft-edge", "--set", "dram.latency=70ns")
    for key, constant in machine.constants.items():
        assert key in shown
        assert constant.source.split()[0] in shown
    found = json.loads(hw("machines", "ssft-edge", "--set", "dram.latency=70ns", "--json"))
    assert list(found) == list(machine.constants)
    assert found["dram.latency"]["value"] == 70e-9
    assert found["dram.latency"]["label"] == "SET"
    assert all(entry["label"] and entry["source"] for entry in found.values())


def test_a_preset_is_a_start_for_a_file(hw, tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(hw("machines", "ssft-edge", "--toml"))
    constants = [json.loads(hw("machines", name, "--json")) for name in ("ssft-edge", file)]
    assert constants[0] == constants[1]


def test_schedule_shows_and_writes_the_program(hw, plan: Path, program: Program, tmp_path: Path):
    binary, text = tmp_path / "p.ssfthw", tmp_path / "p.s"
    shown = hw("schedule", plan, "-o", binary, "--asm", text, "--top", 0)
    assert encoding.load(binary) == program
    commands = sum(map(len, program.queues.values()))
    assert f"{commands:,} commands" in shown
    gemms = sum(c.MNEMONIC == "gemm" for c in program.queues[Queue.TENSOR])
    (row,) = (line for line in shown.splitlines() if line.startswith("│ gemm "))
    assert str(gemms) in row
    slots = shown[shown.index("scratchpad slots") : shown.index("DRAM:")]
    assert slots.count("│ 0x") == len(program.spm)
    assert "no placement needs less than" in shown
    again = tmp_path / "again.ssfthw"
    hw("asm", text, "-o", again)
    assert again.read_bytes() == binary.read_bytes()
    assert hw("disasm", binary) == text.read_text() == hw("disasm", plan)
    assert "tiny_llama.py:" in text.read_text()


def test_every_operation_leads_to_a_line(program: Program):
    """Updates to the one that makes the optimizer, all others to where the model computes."""
    model = REPOSITORY / "examples" / "tiny_llama.py"
    lines = model.read_text().splitlines()
    phases = set()
    for operation in program.operations:
        file, _, number = operation.location.rpartition(":")
        assert Path(file) == model, operation
        optimizer = "torch.optim" in lines[int(number) - 1]
        assert optimizer is (operation.phase == "update"), operation
        phases.add(operation.phase)
    assert phases == {"forward", "input_gradient", "weight_gradient", "update"}


def test_tiles_account_for_all_products(program: Program):
    from ssft.runtime.tools.hw.tiles import tilings

    machine = load_machine("ssft-server")
    merged, single = (tilings(program, machine, merge=merge) for merge in (True, False))
    macs = report(simulate(program, machine))["macs"]["executed"]
    assert sum(t.macs for t in single) == macs
    assert sum(t.macs * len(t.names) for t in merged) == macs
    assert len(merged) < len(single)


def test_the_compiler_emits_the_program_as_a_module(
    hw, plan: Path, program: Program, tmp_path: Path
):
    module, stages = tmp_path / "step.mlir", tmp_path / "stages"
    assert ssftc([str(plan), "--emit=hw", "-o", str(module)]) == 0
    assert "ssft_hw.gemm" in module.read_text()
    assert hw("disasm", module) == to_text(program)
    reports = [json.loads(hw("simulate", path, "--json", "-")) for path in (module, plan)]
    assert reports[0]["cycles"] == reports[1]["cycles"]
    other = ["--dump-stages", str(stages), "--machine", "ssft-a100area"]
    assert ssftc([str(plan), *other, "-o", str(tmp_path / "plan.mlir")]) == 0
    (dumped,) = stages.glob("*_hw.mlir")
    assert 'machine "ssft-a100area"' in hw("disasm", dumped)


def test_the_compiler_knows_its_machines(plan: Path, capsys: pytest.CaptureFixture[str]):
    assert ssftc([str(plan), "--emit=hw", "--machine", "ssft-egde"]) == 1
    assert "did you mean 'ssft-edge'" in capsys.readouterr().err
    assert ssftc([str(plan), "--machine", "ssft-edge", "-o", "x.mlir"]) == 2
    assert "--machine is for --emit=hw" in capsys.readouterr().err


@pytest.mark.parametrize(("device", "tolerance"), [("ssft-server:f32", 1e-5), ("ssft-server", 0.1)])
def test_plans_train_on_the_functional_machine(
    plan: Path, tmp_path: Path, device: str, tolerance: float
):
    result = tmp_path / "run.json"
    options = ["--device", f"ssft-hw:{device}", "--steps", "2", "--compare-to=torch", "-q"]
    found = ["--json", str(result), "--tolerance", str(tolerance)]
    assert ssft_run([str(plan), *options, *found]) == 0
    run = json.loads(result.read_text())
    assert run["equal"] and not run["frozen_changed"]
    assert len(run["losses"]) == 2


def test_column_gathers_are_warned_of(hw, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    made = layer_program(LinearLayer(64, 128, 128), "columns_row_major", 0.1,
                         load_machine("ssft-edge"))  # fmt: skip
    path = tmp_path / "columns.ssfthw"
    encoding.save(made, path)
    assert main(["schedule", str(path), "-q"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    warnings = [line for line in err.splitlines() if "warning:" in line]
    assert len(warnings) == 2
    assert "'gather weight' gathers columns element by element" in warnings[0]


def test_short_runs_are_warned_of():
    """A few columns of a row-major matrix, without a list: each run of 12 bytes moves a burst."""
    machine = load_machine("ssft-server")
    program = Program(machine.name, "bf16")
    program.operations = [SourceOp("w", "adam", "update", "m.py:3")]
    narrow = Load2D(dram=0, spm=0, rows=64, row_bytes=12, pitch=256)
    wide = Load2D(dram=0, spm=0, rows=64, row_bytes=256, pitch=512)
    program.queues[Queue.DMA_IN] = [narrow, wide]
    (found,) = column_transfers(program, machine)
    assert (found.name, found.location, found.gathers, found.commands) == ("w", "m.py:3", False, 1)
    assert (found.useful, found.moved) == (64 * 12, 64 * 64)


def test_simulate_reports_the_simulation(hw, saved: Path, program: Program, tmp_path: Path):
    files = {name: tmp_path / f"out.{name}" for name in ("json", "trace", "csv", "html")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    shown = hw("simulate", saved, *options, "--tokens", 128)
    expected = report(simulate(program, load_machine("ssft-server")), tokens=128)
    found = json.loads(files["json"].read_text())
    assert found["source"]["tokens"] == 128
    assert {key: found[key] for key in expected} == json.loads(json.dumps(expected))
    assert f"{found['cycles']:,} cycles" in shown
    for text in ("phases", "units", "DRAM bytes by purpose", "scratchpad bytes by purpose",
                 "energy", "critical path", "closed form", "SCALE-Sim",
                 "what these figures leave out", *found["units"]):  # fmt: skip
        assert text in shown
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert [row["name"] for row in rows] == [op["name"] for op in found["ops"]]
    assert json.loads(files["trace"].read_text())["otherData"]["cycles"] == found["cycles"]
    assert files["html"].read_text().startswith("<!doctype html>")
    hw("simulate", saved, "--csv", files["csv"], "--csv-rows", "commands", "-q")
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert len(rows) == found["program"]["commands"]


def test_plan_and_program_are_timed_alike(hw, plan: Path, saved: Path):
    reports = [json.loads(hw("simulate", path, "--json", "-")) for path in (plan, saved)]
    for found in reports:
        found.pop("source")
    assert reports[0] == reports[1]
    assert hw("simulate", saved, "-q") == ""


def test_tokens_come_from_the_inputs(hw, plan: Path):
    found = json.loads(hw("simulate", plan, "--json", "-"))
    ids = [b for b in compile_program(plan.read_text(), load_machine("ssft-server")).dram
           if b.purpose == "input" and b.shape]  # fmt: skip
    assert found["source"]["tokens"] == ids[0].shape[0] * ids[0].shape[1]
    assert found["energy"]["per_token"] * found["source"]["tokens"] == pytest.approx(
        found["energy_joules"]
    )


def test_scale_sim_stands_beside(hw, saved: Path):
    gemm = json.loads(hw("simulate", saved, "--json", "-"))["gemm_cycles"]
    assert gemm["array"] == [512, 512]
    for kind, total in gemm["total"].items():
        assert total == pytest.approx(sum(phase[kind] for phase in gemm["phases"].values()))
    assert gemm["total"]["ideal"] < gemm["total"]["ours"]
    assert gemm["total"]["scale_sim_output_stationary"] > gemm["total"]["ideal"]


def test_compares_machines_programs_and_reports(hw, plan: Path, saved: Path, tmp_path: Path):
    kept = tmp_path / "kept.json"
    hw("simulate", saved, "--json", kept, "-q")
    both = json.loads(hw("compare", plan, "--machine", "ssft-server", "--machine",
                         "ssft-a100area", "--json", "-"))  # fmt: skip
    assert both["ratios"] == "ssft-a100area / ssft-server"
    time = both["rows"][0]
    assert time["figure"] == "time" and time["ratio"] == time["second"] / time["first"] < 1
    same = json.loads(hw("compare", kept, saved, "--json", "-"))
    assert {row["ratio"] for row in same["rows"]} == {1.0, None}
    shown = hw("compare", kept, plan, "--machine", "ssft-edge", status=2)
    assert "is a saved report: its machine is fixed" in shown
    shown = hw("compare", plan, "--machine", "ssft-server", "--machine", "ssft-a100area")
    assert "A is the denominator of every ratio" in shown
    assert "DRAM bandwidths differ" in shown


def test_compares_two_plans(hw, plan: Path, tmp_path: Path):
    """Of one model on one machine: what training a tenth of the rows saves over training all."""
    dense, kept = tmp_path / "dense.mlir", tmp_path / "dense.json"
    assert ssftc([str(REPOSITORY / "examples" / "tiny_llama.py"), "-o", str(dense)]) == 0
    found = json.loads(hw("compare", dense, plan, "--json", "-"))
    assert (found["first"], found["second"]) == (str(dense), str(plan))
    rows = {row["figure"]: row for row in found["rows"]}
    macs = rows["weight_gradient: multiply-adds"]
    assert 0.05 < macs["ratio"] < 0.2
    assert rows["forward: multiply-adds"]["ratio"] == 1
    assert rows["update: DRAM bytes"]["ratio"] < 0.2
    assert found["speed_up"] > 1
    shown = hw("compare", dense, plan)
    assert f"A = {dense}" in shown and f"B = {plan}" in shown and "the work differs" in shown
    hw("simulate", dense, "--json", kept, "-q")
    assert json.loads(hw("compare", kept, plan, "--json", "-"))["rows"] == found["rows"]


LAYER = ("--tokens", 64, "--outputs", 1024, "--inputs", 1024, "--machine", "ssft-edge")


def test_experiments_say_what_was_seen(hw, tmp_path: Path):
    figures, chart, page = (tmp_path / f"e.{end}" for end in ("json", "svg", "html"))
    shown = hw("experiment", "layout", *LAYER, "--densities", "0.05,0.2", "--density", 0.02,
               "--json", figures, "--plot", chart)  # fmt: skip
    assert "seen: expected gather and scatter take at least 10 times" in shown
    study = json.loads(figures.read_text())
    assert [row["density"] for row in study["rows"]] == [0.02, 0.02, 0.05, 0.05, 0.2, 0.2]
    assert chart.read_text().startswith("<svg")
    hw("experiment", "density", *LAYER, "--densities", "0.1", "--plot", page, "-q")
    assert page.read_text().startswith("<!doctype html>")
    assert main(["experiment", "layout", *map(str, LAYER), "--density", "0.5", "-q"]) == 1


def test_density_of_a_compiled_model(hw):
    model = REPOSITORY / "examples" / "tiny_llama.py"
    found = json.loads(hw("experiment", "density", "--model", model, "--densities", "0.1",
                          "--density", "0.2", "--json", "-"))  # fmt: skip
    sparse, judged, dense = found["rows"]
    assert (sparse["density"], judged["density"], dense["density"]) == (0.1, 0.2, 1.0)
    assert any("at 20 %" in expectation["found"] for expectation in found["expectations"])
    assert 1 < sparse["ceiling"] < 1.5
    assert sparse["step_speed_up"] > 1


def damaged(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["simulate", "absent.mlir"], "cannot read 'absent.mlir': No such file", 1),
        (["simulate", "PLAN", "--machine", "ssft-servr"], "did you mean 'ssft-server'", 1),
        (["simulate", "PLAN", "--machine", "absent.toml"], "no machine file 'absent.toml'", 1),
        (["simulate", "PLAN", "--machine", "BAD_MACHINE"], "dram.bandwidth", 1),
        (["simulate", "PLAN", "--set", "dram.bandwdth=1"], "did you mean 'dram.bandwidth'", 1),
        (["simulate", "PLAN", "--set", "dram.bandwidth=1GB"], "expected B/s", 1),
        (["simulate", "PLAN", "--set", "dram.bytes=64KiB"], "the DRAM of 'ssft-server' has", 1),
        (["schedule", "PLAN", "--set", "scratchpad.bytes=4KiB"], "scratchpad of 'ssft-server'", 1),
        (["simulate", "DAMAGED"], "program is damaged: its SHA-256", 1),
        (["simulate", "SHORT"], "program is damaged: it has", 1),
        (["simulate", "PROGRAM", "--set", "scratchpad.bytes=64KiB"], "problems", 1),
        (["simulate", "PROGRAM", "--precision", "f32"], "which is a program already", 2),
        (["simulate", "PLAN", "--tokens", "0"], "--tokens is 0", 2),
        (["simulate", "MODEL"], "is a model file, not a plan", 1),
        (["simulate", "GARBAGE"], "error:", 1),
        (["simulate", "PLAN", "--html", "absent/x.html"], "does not exist", 1),
        (["compare", "PLAN"], "one input needs two machines", 2),
        (["compare", "GARBAGE_JSON", "PLAN"], "is no report of a simulation", 1),
        (["asm", "ASSEMBLY", "-o", "out"], "assembly.s:2:9: error: expected", 1),
        (["machines", "--json", "--set", "a=1"], "no machine named", 2),
        (["experiment", "masks", "--plot", "x.png"], "the name ends in .svg or .html", 2),
        (["experiment", "masks", "--density", "2"], "the density 2 is not", 2),
        (["experiment", "masks", "--densities", "a"], "cannot read the densities 'a'", 2),
        (["experiment", "masks", "--tokens", "10"], "tokens is 10", 1),
        (["simulate", "PLAN", "--csv-rows", "commands"], "--csv-rows without --csv", 2),
        (["schedule", "PLAN", "-o", "-"], "-o cannot write to stdout", 2),
        (["asm", "PROGRAM", "-o", "out"], "is a program already, not assembly", 1),
        (["asm", "GARBAGE", "-o", "out"], "is not text in UTF-8", 1),
        (["experiment", "masks", "--model", "m.py"], "--model cannot be used with 'masks'", 2),
    ],
)
def test_mistakes_are_diagnosed(
    hw, plan: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], message: str, status: int,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    data = saved.read_bytes()
    contents = {
        "BAD_MACHINE": b'name = "x"\ndescription = "y"\nbased_on = "ssft-edge"\n'
        b'[dram]\nbandwidth = { value = -1, unit = "GB/s", label = "INF", source = "none" }\n',
        "DAMAGED": damaged(data),
        "SHORT": data[:500],
        "GARBAGE": b"\x00\xff not a module",
        "GARBAGE_JSON": b'{"a": 1}',
        "ASSEMBLY": b"ssft-hw assembly 1\nmachine 7\n",
    }
    names = {"PLAN": plan, "PROGRAM": saved, "MODEL": REPOSITORY / "examples" / "tiny_llama.py"}
    for name, text in contents.items():
        names[name] = tmp_path / f"{name.lower()}{'.toml' if 'MACHINE' in name else '.s'}"
        names[name].write_bytes(text)
    errors = hw(*(names.get(a, a) for a in arguments), status=status)
    assert message in errors
    assert ": error: " in errors.splitlines()[0]
    assert not (tmp_path / "out").exists()


def test_bad_command_lines_end_with_2(capsys: pytest.CaptureFixture[str]):
    for line in ("", "frobnicate", "simulate", "schedule p --precision f64", "simulate p --top -1"):
        with pytest.raises(SystemExit) as end:
            main(line.split())
        assert end.value.code == 2
    assert "usage: ssft-hw" in capsys.readouterr().err


def test_a_failure_leaves_files_alone(hw, plan: Path, tmp_path: Path):
    page = tmp_path / "report.html"
    page.write_text("before")
    hw("simulate", plan, "--set", "dram.bytes=64KiB", "--html", page, status=1)
    assert page.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def tool(*arguments: object, code: str = "") -> subprocess.Popen[str]:
    start = code or "from ssft.runtime.tools.ssft_hw import main; sys.exit(main())"
    paths = [str(REPOSITORY / root) for root in ("compiler", "dialects", "runtime", "hwmodel")]
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; {start}", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_readers_may_stop_early(saved: Path):
    process = tool("disasm", saved)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "ssft-hw assembly 1\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_help_loads_nothing_heavy():
    code = (
        "from ssft.runtime.tools.ssft_hw import main\n"
        "try: main(['simulate', '--help'])\n"
        "except SystemExit: pass\n"
        "print('LOADED', sorted({'numpy', 'torch', 'torch_mlir', 'pydantic', 'rich', 'numba'}"
        " & set(sys.modules)))"
    )
    out, err = tool(code=code).communicate()
    assert err == ""
    assert "--html" in out
    assert out.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize(
    "options",
    [
        ["schedule", "PLAN", "-o", "PLAN"],
        ["schedule", "PLAN", "-o", "WEIGHTS"],
        ["simulate", "PLAN", "--json", "PLAN"],
        ["simulate", "PLAN", "--json", "same.x", "--html", "same.x"],
        ["simulate", "PLAN", "--machine", "mine.toml", "--csv", "mine.toml"],
    ],
)
def test_nothing_that_is_read_is_overwritten(options: list[str], tmp_path: Path, capsys):
    plan, weights = tmp_path / "p.mlir", tmp_path / "p.safetensors"
    plan.write_text("a plan")
    weights.write_text("its weights")
    (tmp_path / "mine.toml").write_text("a machine")
    names = {"PLAN": str(plan), "WEIGHTS": str(weights)}
    found = [names.get(o, str(tmp_path / o) if o.endswith((".toml", ".x")) else o) for o in options]
    assert main(found) == 2
    assert "error:" in capsys.readouterr().err
    assert (plan.read_text(), weights.read_text()) == ("a plan", "its weights")
    assert (tmp_path / "mine.toml").read_text() == "a machine"
    assert not (tmp_path / "same.x").exists()

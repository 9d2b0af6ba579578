"""``ssft-cost`` as a user calls it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ssft.compiler.cost_model.published import TABLES
from ssft.compiler.tools.ssft_cost import main


@pytest.mark.parametrize("name", TABLES)
def test_published_table_is_printed_whole(name: str, capsys: pytest.CaptureFixture[str]):
    assert main(["published", name]) == 0
    text = capsys.readouterr().out
    table = TABLES[name]()
    for row in table.rows:
        assert row.label in text
    assert "assumed:" in text and "source:" in text


def test_known_miss_is_said(capsys: pytest.CaptureFixture[str]):
    assert main(["published", "sparselora-table12"]) == 0
    text = capsys.readouterr().out
    assert "9 of 10 figures within 0.022" in text
    assert "llama-3.1-8b WizardLM is not met" in text


def test_tables_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["published"]) == 0
    assert set(TABLES) <= set(capsys.readouterr().out.split())


def test_figure_outside_its_tolerance_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    strict = replace(TABLES["s2ft-fig5"](), tolerance=0.001)
    monkeypatch.setitem(TABLES, "s2ft-fig5", lambda: strict)
    assert main(["published", "s2ft-fig5"]) == 1
    assert "NOT MET" in capsys.readouterr().out


def test_json_is_alone_on_stdout(capsys: pytest.CaptureFixture[str]):
    assert main(["published", "sift-table1", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["sift-table1"]
    assert found["ok"] and found["outside"] == []
    assert {"label", "published", "computed", "error", "within"} <= set(found["rows"][0])


def test_json_goes_to_a_file_beside_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "costs.json"
    arguments = ["model", "llama-2-7b", "--method", "s2ft", "--ratio", "0.05", "--json", str(path)]
    assert main(arguments) == 0
    found = json.loads(path.read_text())
    assert found["trainable_parameters"] == 32 * 4096 * (2 * 128 + 550)
    assert found["total_parameters"] == 6_738_415_616
    assert set(found["flops"]) == {"forward", "input_gradient", "weight_gradient", "update"}
    assert "105,644,032 of 6,738,415,616 parameters train" in capsys.readouterr().out


def test_models_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["models", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["llama-3-8b"]["key_value_heads"] == 8
    assert main(["models"]) == 0
    assert "6,738,415,616 parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ["--method", "full", "--checkpointing"],
        ["--method", "lora", "--rank", "8", "--targets", "q,v"],
        ["--method", "dora", "--skip-masked"],
        ["--method", "s2ft", "--ratios", "o=0.052,down=0.02", "--budget", "global"],
        ["--method", "sift", "--density", "0.05", "--moment-bytes", "4"],
        ["--method", "sparselora", "--feed-forward-sparsity", "3-30=0.99"],
        ["--method", "s2ft", "--implementation", "compiled", "--weight-bytes", "4"],
    ],
)
def test_every_method_has_costs(options: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["model", "llama-3-8b", *options]) == 0
    assert "parameters train" in capsys.readouterr().out


def test_configuration_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "small.json"
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    more = {"model_type": "llama", "vocab_size": 100, "num_attention_heads": 4}
    path.write_text(json.dumps(sizes | more))
    assert main(["model", "--config", str(path), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"]["name"] == "small"


def test_parallel_step_is_told_by_purpose_and_link(capsys: pytest.CaptureFixture[str]):
    layout = ["--data", "8", "--zero", "1", "--tensor", "2", "--pipeline", "2", "--batch", "4"]
    speed = ["--link", "nvlink=300e9:8,ib=25e9", "--flops", "312e12"]
    assert main(["parallel", "llama-2-7b", "--method", "s2ft", *layout, *speed]) == 0
    text = capsys.readouterr().out
    assert "32 ranks: 8 data x 2 tensor x 2 pipeline, ZeRO stage 1, 32 x 512 tokens" in text
    for word in ("reduce-scatter", "all-reduce", "point-to-point", "nvlink", "bubble 25.0 %"):
        assert word in text
    assert "computing / communication:" in text


def test_parallel_report_adds_up(capsys: pytest.CaptureFixture[str]):
    arguments = ["parallel", "--model", "llama-2-7b", "--method", "s2ft", "--ratio", "0.05"]
    arguments += ["--data", "4", "--pipeline", "2", "--batch", "2", "--link", "ib=25e9"]
    assert main([*arguments, "--json", "-"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["reports"]
    memory, sent = found["memory_bytes"], found["sent_bytes"]
    assert sum(memory.values()) == 2 * memory["total"]
    assert sum(sent["by_group"].values()) == sent["total"] == sum(sent["by_purpose"].values())
    assert sum(each["sent_bytes"] for each in found["transfers"]) == sent["total"]
    assert [rank["stage"] for rank in found["per_rank"]] == [0, 1]
    assert found["all_ranks"]["memory_bytes"] == 4 * sum(
        rank["memory_bytes"]["total"] for rank in found["per_rank"]
    )
    assert found["seconds"]["communication"] == pytest.approx(sent["total"] / 25e9)
    assert found["full"]["sent_bytes"]["total"] > 20 * sent["total"]


def test_sweep_has_a_row_for_each_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "rows.csv"
    sweeps = ["--sweep", "data=1,2,8", "--sweep", "tensor=1,3"]
    assert main(["parallel", "llama-3-8b", "--zero", "1", *sweeps, "--csv", str(path)]) == 0
    assert "data 8, tensor 3: 32 heads cannot be split into 3" in capsys.readouterr().out
    rows = list(csv.DictReader(path.open()))
    assert [(row["data"], row["tensor"]) for row in rows] == [
        (data, tensor) for data in "128" for tensor in "13"
    ]
    first, *_ = rows
    assert first["sent_bytes"] == "0" and int(first["total_bytes"]) > 8 * 8e9
    assert [bool(row["refused"]) for row in rows] == [False, True] * 3
    states = [int(row["optimizer_state_bytes"]) for row in rows[::2]]
    assert states[0] == 2 * states[1] == 8 * states[2]


def test_sweep_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    path = tmp_path / "sweep.png"
    arguments = ["parallel", "llama-2-7b", "--method", "s2ft", "--plot", str(path)]
    assert main([*arguments, "--sweep", "data=1,8", "--sweep", "zero=1,3"]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert main([*arguments, "--sweep", "tensor=3"]) == 1
    assert "nothing to draw" in capsys.readouterr().err
    assert main(["parallel", "llama-2-7b", "--plot", str(tmp_path / "a.doc")]) == 1
    assert "cannot draw" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["published", "s2ft-fig"], 2, "did you mean 's2ft-fig5'?"),
        (["model"], 2, "give either the name of a model or --config"),
        (["model", "llama-2-7b", "--config", "c.json"], 2, "give either"),
        (["model", "lama-2-7b"], 1, "did you mean 'llama-2-7b'?"),
        (["model", "--config", "gone.json"], 1, "cannot read configuration 'gone.json'"),
        (["model", "llama-2-7b", "--method", "sparselora"], 2, "needs --feed-forward-sparsity"),
        (["model", "llama-2-7b", "--attention-sparsity", "1=0.5"], 2, "is for --method sparselora"),
        (["model", "llama-2-7b", "--method", "lora", "--targets", "x"], 1, "no projection 'x'"),
        (["model", "llama-2-7b", "--json", "gone/x.json"], 1, "does not exist"),
        (["parallel"], 2, "give either the name of a model"),
        (["parallel", "llama-2-7b", "--model", "llama-2-13b"], 2, "two models"),
        (["parallel", "llama-2-7b", "--plan", "p.mlir"], 2, "either a model or --plan"),
        (["parallel", "--plan", "gone.mlir"], 1, "cannot read plan 'gone.mlir'"),
        (["parallel", "--plan", "p", "--sweep", "batch=1"], 2, "batch of a plan cannot be swept"),
        (["parallel", "llama-2-7b", "--method", "sparselora"], 2, "is not covered for parallel"),
        (["parallel", "llama-2-7b", "--tensor", "3"], 2, "32 heads cannot be split into 3"),
        (["parallel", "llama-2-7b", "--microbatches", "3"], 2, "cannot be cut into 3"),
        (["parallel", "llama-2-7b", "--link", "ib"], 2, "not a link and its bandwidth"),
        (["parallel", "llama-2-7b", "--link", "a=1e9,b=1e9"], 2, "'a' must join more than 1"),
        (["parallel", "llama-2-7b", "--link", "a=1e9:8"], 2, "'a' must join all ranks"),
        (["parallel", "llama-2-7b", "--sweep", "rank=1"], 2, "'rank' cannot be swept"),
        (["parallel", "llama-2-7b", "--sweep", "data=a"], 2, "'data=a' is no sweep"),
        (["parallel", "llama-2-7b", "--sweep", "data=0"], 2, "data 0 is not at least 1"),
        (["parallel", "llama-2-7b", "--flops", "-1"], 2, "--flops -1.0 is not positive"),
        (["parallel", "llama-2-7b", "--csv", "gone/x.csv"], 1, "does not exist"),
    ],
)
def test_mistake_is_explained(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err.replace("\n", " ")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["model", "llama-2-7b", "--batch", "0"],
        ["model", "llama-2-7b", "--ratios", "o"],
        ["model", "llama-2-7b", "--method", "magic"],
    ],
)
def test_bad_command_line_is_refused(arguments: list[str]):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2

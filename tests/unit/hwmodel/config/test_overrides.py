"""``--set key=value``."""

from __future__ import annotations

import pytest

from ssft.hwmodel.config import load_machine
from ssft.hwmodel.errors import MachineError


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("dram.bandwidth=1e12", 1e12),
        ("dram.bandwidth=1TB/s", 1e12),
        ("dram.bandwidth = 1.5 TB/s", 1.5e12),
        ("dram.bandwidth=900GiB/s", 900 * 2.0**30),
        ("dram.latency=100ns", 1e-7),
        ("dram.latency=0", 0),
        ("clock.frequency=1GHz", 1e9),
        ("scratchpad.bytes=64MiB", 2**26),
        ("tensor.pes=1_024", 1024),
        ("tensor.pes=64 PEs", 64),
        ("tensor.engine=dot_lanes", "dot_lanes"),
        ("energy.mac.bf16=1.5pJ/MAC", 1.5e-12),
        ("energy.noc.wire=80fJ/bit/mm", None),
        ("energy.leakage.dma=3mW", 3e-3),
        ("dram.efficiency.stream=.5", 0.5),
    ],
)
def test_values(setting: str, value: object):
    if value is None:
        with pytest.raises(MachineError, match="unit 'fJ/bit/mm', expected J/bit/mm"):
            load_machine("ssft-server", [setting])
        return
    key = setting.partition("=")[0].strip()
    constant = load_machine("ssft-server", [setting]).provenance(key)
    assert (constant.value, constant.label) == (value, "SET")
    assert constant.source == f"set by {setting}"


def test_the_last_setting_of_a_constant_counts():
    machine = load_machine("ssft-server", ["tensor.pes=1", "tensor.pes=2"])
    assert machine.tensor.pes == 2


def test_switches():
    for text, value in (("true", True), ("off", False)):
        machine = load_machine("transcode-server", [f"baseline.enabled={text}"])
        assert machine.baseline is not None
        assert machine.baseline.enabled is value


@pytest.mark.parametrize(
    ("setting", "message", "note"),
    [
        ("dram.bandwith=1", "no constant 'dram.bandwith'", "did you mean 'dram.bandwidth'?"),
        ("bandwidth=1", "no constant 'bandwidth'", "did you mean 'dram.bandwidth'?"),
        ("tensor.qqq=1", "no constant 'tensor.qqq'", "'tensor' has tensor.engine"),
        ("zzz=1", "no constant 'zzz'", "the sections are clock, process, tensor"),
        ("dram=1", "no constant 'dram'", "'dram' has dram.bytes"),
        ("tensor.pes", "has no value", "write it as in dram.bandwidth=1TB/s"),
        ("dram.bandwidth=1GHz", "unit 'GHz', expected B/s (or kB/s,", "it is: peak"),
        ("dram.bandwidth=fast", "is 'fast', expected a number of B/s", "it is: peak"),
        ("dram.bandwidth=-1", "is -1 B/s; it should be greater than 0", "it is: peak"),
        ("dram.bandwidth=0", "is 0 B/s; it should be greater than 0", "it is: peak"),
        ("dram.bandwidth=nan", "is 'nan', expected a number", "it is: peak"),
        ("dram.bandwidth=1e999", "is inf", "it is: peak"),
        ("dram.efficiency.stream=1.1", "less than or equal to 1", "it is: long"),
        ("dram.efficiency.rows=1", "is a curve", "copy the machine's file"),
        ("tensor.pes=1.5", "should be a valid integer", "it is: processing elements"),
        ("tensor.pes=1k", "unit 'k', expected PEs", "it is: processing elements"),
        ("tensor.engine=gpu", "should be 'dot_lanes', 'systolic_ws'", "it is: dot_lanes"),
        ("tensor.engine=systolic_ws", "needs tensor.rows and tensor.columns", "set the constants"),
        ("baseline.enabled=true", "'baseline.activation_sparsity' is missing", "give all of"),
    ],
)
def test_mistakes(setting: str, message: str, note: str):
    with pytest.raises(MachineError) as caught:
        load_machine("ssft-server", [setting])
    assert message in caught.value.message
    assert any(note in text for text in caught.value.notes)


@pytest.mark.parametrize("text", ["maybe", "1", ""])
def test_switches_are_true_or_false(text: str):
    with pytest.raises(MachineError, match="expected true or false"):
        load_machine("transcode-server", [f"baseline.enabled={text}"])

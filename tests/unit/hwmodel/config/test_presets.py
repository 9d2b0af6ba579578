"""The machines that come with the package."""

from __future__ import annotations

import tomllib

import pytest

from ssft.hwmodel.config import LABELS, Machine, list_machines, load_machine, preset_names
from ssft.hwmodel.config.leaves import leaves
from ssft.hwmodel.config.loader import PRESETS
from ssft.hwmodel.errors import MachineError

NAMES = ["ssft-a100area", "ssft-edge", "ssft-server", "transcode-server"]


def test_names():
    assert preset_names() == NAMES


def test_list():
    rows = list_machines()
    assert [name for name, _ in rows] == NAMES
    assert all(description for _, description in rows)


@pytest.mark.parametrize(
    ("name", "tflops", "bandwidth", "scratchpad"),
    [
        ("ssft-server", 367.0, 256e9, 104 * 2**20),
        ("ssft-a100area", 367.0, 2e12, 50 * 2**20),
        ("ssft-edge", 4.096, 25.6e9, 928 * 2**10),
        ("transcode-server", 367.0, 256e9, 104 * 2**20),
    ],
)
def test_headline_numbers(name: str, tflops: float, bandwidth: float, scratchpad: int):
    machine = load_machine(name)
    assert machine.name == name
    assert machine.peak_flops / 1e12 == pytest.approx(tflops, rel=1e-3)
    assert machine.dram.bandwidth == bandwidth
    assert machine.scratchpad.bytes == scratchpad


@pytest.mark.parametrize("name", NAMES)
def test_every_constant_says_where_it_comes_from(name: str):
    machine = load_machine(name)
    optional = {"tensor.rows", "tensor.columns"}
    for key, leaf in leaves().items():
        absent = leaf.optional_section == "baseline" and machine.baseline is None
        if absent or key in optional:
            continue
        constant = machine.provenance(key)
        assert constant.unit == leaf.unit
        assert constant.label in LABELS
        assert constant.label != "SET"
        assert len(constant.source.split()) >= 2, key


@pytest.mark.parametrize("name", NAMES)
def test_provenance_has_the_values_of_the_attributes(name: str):
    machine = load_machine(name)
    for key, constant in machine.constants.items():
        value: object = machine
        for part in key.split("."):
            value = getattr(value, part)
        assert value == constant.value, key


@pytest.mark.parametrize("name", NAMES)
def test_files_differ_from_the_machine_they_are_based_on(name: str):
    """A constant that repeats the base's value and reason would be noise."""
    document = tomllib.loads((PRESETS / f"{name}.toml").read_text())
    if (base := document.get("based_on")) is None:
        return
    machine, inherited = load_machine(name), load_machine(base)
    own = [key for key in inherited.constants if _given(document, key)]
    assert own
    for key in own:
        assert machine.provenance(key) != inherited.provenance(key), key


def _given(document: dict, key: str) -> bool:
    *sections, last = key.split(".")
    for section in sections:
        document = document.get(section, {})
    return last in document


def test_provenance_of_an_unknown_constant():
    with pytest.raises(MachineError, match=r"no constant 'dram\.bandwith'") as caught:
        load_machine("ssft-server").provenance("dram.bandwith")
    assert caught.value.notes == ("did you mean 'dram.bandwidth'?",)


def test_baseline_is_the_transcode_servers_only():
    assert [n for n in NAMES if load_machine(n).baseline is not None] == ["transcode-server"]
    baseline = load_machine("transcode-server").baseline
    assert baseline is not None
    assert (baseline.enabled, baseline.activation_sparsity, baseline.gradient_sparsity) == (
        False,
        0.5,
        0.9,
    )


def test_baseline_is_held_equal_where_it_must_be():
    """A comparison at equal multiply-adds, clock, scratchpad and DRAM must be one."""
    ours, theirs = load_machine("ssft-server"), load_machine("transcode-server")
    for section in ("clock", "tensor", "scratchpad", "dram"):
        assert getattr(ours, section) == getattr(theirs, section)
    assert ours.energy.dram == theirs.energy.dram
    assert ours.energy.scratchpad == theirs.energy.scratchpad
    assert ours.energy.mac.bf16 == theirs.energy.mac.bf16


def test_energy_of_a_multiply_add_follows_the_multiplier():
    server = load_machine("ssft-server")
    fixed = load_machine("ssft-server", ["tensor.multiplier=fixed20"])
    assert server.mac_energy("bf16") == 0.93e-12
    assert fixed.mac_energy("bf16") == 0.464e-12
    assert server.mac_energy("f32") == fixed.mac_energy("f32") == 2.45e-12


def test_energy_that_depends_on_size():
    server = load_machine("ssft-server")
    assert server.scratchpad_read_energy == pytest.approx(1.34e-12 * 0.25**0.5)
    assert server.scratchpad_write_energy == pytest.approx(1.37e-12 * 0.25**0.5)
    one = load_machine("ssft-server", ["scratchpad.bytes=1MiB", "scratchpad.banks=1"])
    assert one.scratchpad_read_energy == 1.34e-12
    assert server.noc_energy == pytest.approx(9.6e-12)


def test_peak_of_systolic_engines():
    settings = ["tensor.engine=systolic_ws", "tensor.rows=128", "tensor.columns=64"]
    assert load_machine("ssft-server", settings).peak_macs_per_cycle == 128 * 64
    assert load_machine("ssft-server", settings[1:]).peak_macs_per_cycle == 512 * 32 * 16


def test_machines_are_immutable_and_comparable():
    machine = load_machine("ssft-server")
    assert machine == load_machine("ssft-server")
    assert machine != load_machine("ssft-server", ["tensor.pes=511"])
    with pytest.raises(ValueError, match="frozen"):
        machine.dram.bandwidth = 1.0  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(machine, Machine)


def test_seconds():
    assert load_machine("ssft-server").seconds(700) == pytest.approx(1e-6)

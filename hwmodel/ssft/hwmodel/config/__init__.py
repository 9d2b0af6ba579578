"""Machine descriptions: a schema, presets in TOML, overrides, and where each number comes from."""

from ssft.hwmodel.config.curves import interpolate
from ssft.hwmodel.config.loader import list_machines, load_machine, preset_names
from ssft.hwmodel.config.provenance import LABELS, Constant
from ssft.hwmodel.config.schema import Machine
from ssft.hwmodel.config.writer import machine_toml

__all__ = [
    "LABELS",
    "Constant",
    "Machine",
    "interpolate",
    "list_machines",
    "load_machine",
    "machine_toml",
    "preset_names",
]

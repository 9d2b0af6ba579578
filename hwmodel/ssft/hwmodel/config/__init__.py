"""Machine descriptions: a schema, presets in TOML, overrides, and where each number comes from."""

from ssft.hwmodel.config.curves import interpolate
from ssft.hwmodel.config.loader import list_machines, load_machine, preset_names, preset_text
from ssft.hwmodel.config.provenance import LABELS, Constant
from ssft.hwmodel.config.schema import Machine

__all__ = [
    "LABELS",
    "Constant",
    "Machine",
    "interpolate",
    "list_machines",
    "load_machine",
    "preset_names",
    "preset_text",
]

"""Adapters: what training changed, apart from the model, to be put on, taken off and joined."""

from ssft.runtime.adapters.adapter import Adapter, Part
from ssft.runtime.adapters.application import apply, remove, switch
from ssft.runtime.adapters.files import load_adapter, save_adapter
from ssft.runtime.adapters.fusion import Fusion, fuse

__all__ = [
    "Adapter",
    "Fusion",
    "Part",
    "apply",
    "fuse",
    "load_adapter",
    "remove",
    "save_adapter",
    "switch",
]

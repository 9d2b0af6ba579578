"""Repeated stretches of ``@step`` as functions that it calls, and the way back."""

from ssft.compiler.outlining.inline import inline_layers, parse_flat
from ssft.compiler.outlining.outline import LEAST, outline_layers

__all__ = ["LEAST", "inline_layers", "outline_layers", "parse_flat"]

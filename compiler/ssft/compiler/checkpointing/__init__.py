"""Activation checkpointing: what the backward pass computes again instead of keeping it.

Decided on a step as numbers (`ssft.compiler.analysis.flow`); ``ssft-checkpoint`` does it to the IR.
"""

from ssft.compiler.checkpointing.choice import MODES, Choice, Chooser, choose
from ssft.compiler.checkpointing.layers import Layers, possible_layers
from ssft.compiler.checkpointing.recomputation import Recomputation

__all__ = ["MODES", "Choice", "Chooser", "Layers", "Recomputation", "choose", "possible_layers"]

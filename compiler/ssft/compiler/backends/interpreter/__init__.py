"""A NumPy interpreter of plans: what the other backends' results are compared with."""

from ssft.compiler.backends.interpreter.formats import Arithmetic
from ssft.compiler.backends.interpreter.program import InterpreterProgram, interpret_step

__all__ = ["Arithmetic", "InterpreterProgram", "interpret_step"]

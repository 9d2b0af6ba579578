"""The accelerator backend: from a plan to a scheduled program of SSFT-Hw."""

from ssft.compiler.backends.hw.compile import Precision, compile_program

__all__ = ["Precision", "compile_program"]

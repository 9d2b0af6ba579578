from enum import IntEnum

from torch_mlir.ir import Module

class Variadicity(IntEnum):
    single = 0
    optional = 1
    variadic = 2

def load_dialects(module: Module) -> None: ...

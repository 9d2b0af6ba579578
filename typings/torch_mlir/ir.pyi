# Written by hand, as is all of typings/ outside _mlir_libs/_mlir: the package's Python modules
# re-export the compiled ones, whose stubs are generated.
from torch_mlir._mlir_libs._mlir.ir import *
from torch_mlir._mlir_libs._mlir.ir import _OperationBase as _OperationBase

def get_parent_of_type(op: OpView | Operation, op_class: type[OpView]) -> OpView | None: ...
def get_ops_of_type(
    root: OpView | Operation | Module, op_class: type[OpView] | None = None
) -> list[OpView]: ...

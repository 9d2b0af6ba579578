from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch_mlir.dialects.irdl import Variadicity as Variadicity
from torch_mlir.ir import Attribute as _Attribute
from torch_mlir.ir import Dialect as _Dialect
from torch_mlir.ir import DynamicAttr, DynamicType, Module, OpView
from torch_mlir.ir import OpResult as Result
from torch_mlir.ir import Region as Region
from torch_mlir.ir import Value as Operand

__all__ = [
    "Attribute",
    "Dialect",
    "DialectAlreadyLoadedError",
    "FieldDef",
    "Operand",
    "Operation",
    "Pure",
    "Region",
    "Result",
    "Type",
    "Variadicity",
    "attribute",
    "infer_result",
    "operand",
    "partition_fields",
    "result",
]

class DialectAlreadyLoadedError(RuntimeError): ...

class FieldDef:
    name: str
    variadicity: Variadicity
    constraint: Any

def partition_fields(
    fields: list[FieldDef],
) -> tuple[list[FieldDef], list[FieldDef], list[FieldDef], list[FieldDef]]:
    """Operands, attributes, results and regions."""

def result(
    *, default_factory: Callable[[], Any] | None = None, kw_only: bool = False
) -> Result[Any]: ...
def infer_result() -> Result[Any]: ...
def operand(*, kw_only: bool = False) -> Operand[Any]: ...
def attribute(
    *, default_factory: Callable[[], Any] | None = None, kw_only: bool = False
) -> _Attribute: ...

class Operation(OpView):
    OPERATION_NAME: ClassVar[str]
    _fields: ClassVar[list[FieldDef]]
    _traits: ClassVar[list[type]]
    _dialect_obj: ClassVar[type[Dialect]]
    result: Any  # a field may take this name
    # The real signature is made from the fields of the subclass.
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        traits: Sequence[type] | None = None,
        dialect: type[Dialect] | None = None,
        **kwargs: Any,
    ) -> None: ...
    @classmethod
    def _generate_operand_properties(cls, operands: list[FieldDef]) -> None: ...
    @classmethod
    def _generate_result_properties(cls, results: list[FieldDef]) -> None: ...

class Type(DynamicType):
    def __init_subclass__(
        cls, *, name: str | None = None, dialect: type[Dialect] | None = None, **kwargs: Any
    ) -> None: ...
    @classmethod
    def get(cls, *args: Any, **kwargs: Any) -> Any: ...

class Attribute(DynamicAttr):
    def __init_subclass__(
        cls, *, name: str | None = None, dialect: type[Dialect] | None = None, **kwargs: Any
    ) -> None: ...
    @classmethod
    def get(cls, *args: Any, **kwargs: Any) -> Any: ...

class Dialect(_Dialect):
    DIALECT_NAMESPACE: ClassVar[str]
    Operation: ClassVar[type[Operation]]
    Type: ClassVar[type[Type]]
    Attribute: ClassVar[type[Attribute]]
    operations: ClassVar[list[type[Operation]]]
    types: ClassVar[list[type[Type]]]
    attributes: ClassVar[list[type[Attribute]]]
    _mlir_module: ClassVar[Module]
    def __init_subclass__(cls, name: str, **kwargs: Any) -> None: ...
    @classmethod
    def load(cls) -> None: ...

class Pure:
    @staticmethod
    def attach(op_name: str) -> None: ...

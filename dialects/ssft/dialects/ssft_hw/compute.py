"""Commands of the tensor and vector queues."""

from ssft.dialects.ssft_hw.command import CommandOp
from ssft.dialects.ssft_hw.dialect import SsftHw

_GEMM = {"a": 32, "b": 32, "c": 32, "shape": 32, "index": 32, "accumulate": 8}
_VECTOR = {"program": 32, "arguments": 32, "origin": 32}
_SCATTER_ADD = {
    **{"target": 32, "source": 32, "index": 32},
    **{"count": 24, "row_elements": 24, "first": 24, "rows": 24},
}


class GemmOp(CommandOp, dialect=SsftHw, mnemonic="gemm", queues=("tensor",), payload=_GEMM):
    """Runs contraction number `shape` on operands at SPM addresses `a`, `b`, `c`.

    `index` is 4294967295 for none, or the address of a list that selects along the contraction's
    indexed dimension. With `accumulate` = 1 the sums start from what `c` holds.
    """


class VectorOp(CommandOp, dialect=SsftHw, mnemonic="vec", queues=("vector",), payload=_VECTOR):
    """Runs micro-program number `program` on the operands in argument list number `arguments`.

    `origin` is the number of the tile's first row in the whole operation.
    """


class ScatterAddRowsOp(
    CommandOp,
    dialect=SsftHw,
    mnemonic="vec.scatter_add_rows",
    queues=("vector",),
    payload=_SCATTER_ADD,
):
    """Adds f32 row ``i`` of `source` to row ``index[i] - first`` of `target`, in list order.

    `target` holds rows `first` to ``first + rows - 1`` of a table; entries outside are skipped.
    """


class AdamRowsOp(
    CommandOp, dialect=SsftHw, mnemonic="opt.adam_rows", queues=("vector",), payload=_VECTOR
):
    """Runs an optimizer with two states on the fused row-update unit; operands as in ``vec``."""


class SgdRowsOp(
    CommandOp, dialect=SsftHw, mnemonic="opt.sgd_rows", queues=("vector",), payload=_VECTOR
):
    """Runs an optimizer with one state or none on the fused row-update unit."""

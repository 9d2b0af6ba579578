"""Commands of the DMA queues: copies between DRAM and the scratchpad (SPM).

All addresses are in bytes; index lists are ``i64`` words in the scratchpad.
"""

from ssft.dialects.ssft_hw.command import CommandOp
from ssft.dialects.ssft_hw.dialect import SsftHw

_COPY = {"dram": 48, "spm": 32, "rows": 32, "row_bytes": 32, "pitch": 48}
_ROWS = {"dram": 48, "spm": 32, "index": 32, "count": 24, "row_bytes": 24, "pitch": 32}
_COLUMNS = {
    **{"dram": 48, "spm": 32, "index": 32},
    **{"rows": 24, "count": 16, "element_bytes": 8, "pitch": 32},
}


class Load2DOp(CommandOp, dialect=SsftHw, mnemonic="dma.ld2d", queues=("dma_in",), payload=_COPY):
    """Copies `rows` runs of `row_bytes`, `pitch` bytes apart in DRAM, to packed rows in SPM."""


class Store2DOp(CommandOp, dialect=SsftHw, mnemonic="dma.st2d", queues=("dma_out",), payload=_COPY):
    """Copies packed rows in SPM to `rows` runs of `row_bytes`, `pitch` bytes apart in DRAM."""


class GatherRowsOp(
    CommandOp, dialect=SsftHw, mnemonic="dma.gather_rows", queues=("dma_in",), payload=_ROWS
):
    """Loads row ``index[i]`` of a DRAM matrix to packed row ``i`` in SPM, for `count` rows.

    Row ``r`` is the `row_bytes` bytes at ``dram + r * pitch``.
    """


class ScatterRowsOp(
    CommandOp, dialect=SsftHw, mnemonic="dma.scatter_rows", queues=("dma_out",), payload=_ROWS
):
    """Stores packed row ``i`` in SPM to row ``index[i]`` of a DRAM matrix, for `count` rows."""


class GatherColumnsOp(
    CommandOp, dialect=SsftHw, mnemonic="dma.gather_cols", queues=("dma_in",), payload=_COLUMNS
):
    """Loads columns ``index[j]`` of `rows` rows of a DRAM matrix to a packed SPM matrix.

    SPM holds `rows` rows of `count` elements of `element_bytes`.
    """


class ScatterColumnsOp(
    CommandOp, dialect=SsftHw, mnemonic="dma.scatter_cols", queues=("dma_out",), payload=_COLUMNS
):
    """Stores a packed SPM matrix to columns ``index[j]`` of a DRAM matrix."""

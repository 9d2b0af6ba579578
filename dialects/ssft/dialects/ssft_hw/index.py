"""Commands of the index queue: scores, counts and index lists for choosing masks."""

from ssft.dialects.ssft_hw.command import CommandOp
from ssft.dialects.ssft_hw.dialect import SsftHw

_SCORE = {"gradient": 32, "score": 32, "elements": 32, "square": 8}
_COUNT = {
    **{"score": 32, "counts": 32, "rows": 24, "columns": 24},
    **{"threshold": 32, "by_column": 8},
}
_TOP_K = {"values": 32, "index": 32, "count": 32, "k": 32}


class AccumulateScoreOp(
    CommandOp, dialect=SsftHw, mnemonic="idx.acc_score", queues=("index",), payload=_SCORE
):
    """Adds |g| (`square` = 0) or g*g (`square` = 1) of f32 `gradient` to f32 `score`."""


class CountRowsColumnsOp(
    CommandOp, dialect=SsftHw, mnemonic="idx.rowcol_count", queues=("index",), payload=_COUNT
):
    """Counts elements of f32 `score` above a threshold, per row or (`by_column` = 1) per column.

    `threshold` is the bits of an f32.
    """


class TopKOp(CommandOp, dialect=SsftHw, mnemonic="idx.topk", queues=("index",), payload=_TOP_K):
    """Writes the positions of the `k` largest of `count` f32 `values`, ascending, to `index`."""

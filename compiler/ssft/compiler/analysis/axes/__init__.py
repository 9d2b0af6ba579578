"""Axis identity in a whole training step: which dimensions of which tensors are one axis.

Every structured method asks which rows, columns and channels belong together, and what may be
permuted. The answer follows from the IR alone: linalg indexing maps say which dimensions are
indexed by one loop, reshapes say which are products of others, slices and concatenations say which
are sums. An axis is **free** iff nothing pins it; then every permutation of it, applied to all its
members at once, leaves the step function unchanged up to the rounding of reassociated sums.

See `analyze_axes`.
"""

from ssft.compiler.analysis.axes.analysis import analyze_axes
from ssft.compiler.analysis.axes.result import Axis, AxisAnalysis, DimensionLayout, Member, Pin

__all__ = ["Axis", "AxisAnalysis", "DimensionLayout", "Member", "Pin", "analyze_axes"]

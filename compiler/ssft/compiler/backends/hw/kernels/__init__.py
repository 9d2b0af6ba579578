"""Rewrites of the graph: results in place, bf16 storage, dead code, kernels of fused nests."""

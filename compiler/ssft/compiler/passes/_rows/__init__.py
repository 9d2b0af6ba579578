"""What ``cpu-fuse-rows`` is made of.

`nests` reads the operations of a bufferized step as loop nests; `groups` says which of them can
share loops over rows, `blocks` which matrix products can run with them, and `dead_columns` what of
that a mask makes superfluous. `loops`, `block_loops` and `live_columns` emit the three.
"""

"""From MLIR to plain Python: the step as loop nests and contractions on views of buffers."""

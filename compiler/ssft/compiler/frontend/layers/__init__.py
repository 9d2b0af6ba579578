"""Models of many equal layers, captured with few.

Tracing takes most of the time of a capture, and a step of n equal layers says n times the same. So
the forward graph is searched for repetitions (`forward`), the step is traced with a handful of
them, and its MLIR is given as many as the model has (`module`). A model in which nothing repeats,
or not evenly, is traced whole.
"""

"""Equal kernels are tiled and written once: the rest of their commands are copies elsewhere.

A step of many equal layers has few different kernels. What is chosen for one of them, and the
commands that it becomes, follow from its `Pattern` and from how much room there is; only addresses,
names and places in the program's tables differ.
"""

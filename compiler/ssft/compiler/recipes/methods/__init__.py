"""One selection method a file; each defines ``choose(parameters, draw)``."""

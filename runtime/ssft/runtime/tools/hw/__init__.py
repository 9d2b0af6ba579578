"""The commands of ``ssft-hw``."""

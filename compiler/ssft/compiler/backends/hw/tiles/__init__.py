"""Tile sizes, and the commands of all tiles."""

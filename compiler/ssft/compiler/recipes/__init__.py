"""Recipes: named choices of masks. A method is one file in `methods`."""

from ssft.compiler.recipes.recipe import Recipe

__all__ = ["Recipe"]

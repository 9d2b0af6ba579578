"""The pipelines of the compiler, as data."""

from __future__ import annotations

from ssft.compiler.passes.base import Pass
from ssft.compiler.passes.ssft_co_permute import CoPermutePass
from ssft.compiler.passes.ssft_expose_gradients import ExposeGradientsPass
from ssft.compiler.passes.ssft_fold_transposes import FoldTransposesPass
from ssft.compiler.passes.ssft_form_updates import FormUpdatesPass
from ssft.compiler.passes.ssft_rematerialize import RematerializePass
from ssft.compiler.passes.ssft_save_slices import SaveSlicesPass
from ssft.compiler.passes.ssft_select_masks import SelectMasksPass
from ssft.compiler.passes.ssft_slice_updates import SliceUpdatesPass
from ssft.compiler.passes.ssft_verify import VerifyPass
from ssft.compiler.recipes.recipe import Recipe

Pipeline = tuple[Pass | str, ...]

CLEAN = "canonicalize,cse"

RECOGNISE: Pipeline = (CLEAN, FoldTransposesPass(), FormUpdatesPass(), CLEAN)
"""From the captured step to updates as operations; still dense."""

DENSE: Pipeline = (RematerializePass(), CLEAN)
"""From recognised updates to a dense step that saves no more than it must, for comparison."""


def specialise(recipe: Recipe, *, gradients: bool = False) -> Pipeline:
    """Returns the pipeline from recognised updates to the plan of `recipe`."""
    return (
        SelectMasksPass.from_recipe(recipe),
        CoPermutePass(),
        SliceUpdatesPass(),
        CLEAN,
        SaveSlicesPass(),
        CLEAN,
        RematerializePass(),
        CLEAN,
        *((ExposeGradientsPass(),) if gradients else ()),
        VerifyPass(),
    )

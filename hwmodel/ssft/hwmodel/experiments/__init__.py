"""Experiments: what structured sparsity is worth on a machine, and what it depends on."""

from ssft.hwmodel.experiments.density import density_study, layer_density_study
from ssft.hwmodel.experiments.layer import LinearLayer
from ssft.hwmodel.experiments.layout import layout_study
from ssft.hwmodel.experiments.masks import masks_study
from ssft.hwmodel.experiments.study import Study

__all__ = [
    "LinearLayer",
    "Study",
    "density_study",
    "layer_density_study",
    "layout_study",
    "masks_study",
]

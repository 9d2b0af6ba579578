"""Every method on encoders and encoder-decoders, as masked dense PyTorch."""

from __future__ import annotations

import pytest
from families import ENCODERS
from method_matrix import cases, check_case


@pytest.mark.parametrize(("family", "recipe", "device"), cases(ENCODERS))
def test_family(family, recipe, device):
    check_case(family, recipe, device)

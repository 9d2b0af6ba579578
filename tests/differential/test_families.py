"""Every method on decoder-only transformers of many families, as masked dense PyTorch.

Nothing in the compiler knows any of them.
"""

from __future__ import annotations

import pytest
from families import DECODERS
from family_groups import check_groups
from method_matrix import cases, check_case


@pytest.mark.parametrize(("family", "recipe", "device"), cases(DECODERS))
def test_family(family, recipe, device):
    check_case(family, recipe, device)


@pytest.mark.parametrize("family", DECODERS)
def test_what_moves_together_and_what_may_not(family):
    check_groups(family)

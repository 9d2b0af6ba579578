from __future__ import annotations

from random import Random

import pytest
from hw_random_programs import random_program

from ssft.hwmodel.config import load_machine
from ssft.hwmodel.timing.events import Simulation, simulate


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return simulate(
        random_program(Random(3), 120), load_machine("ssft-edge", ["dram.latency=50ns"])
    )

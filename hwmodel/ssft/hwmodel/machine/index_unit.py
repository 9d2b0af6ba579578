"""The index unit, and the vector unit's scatter-add: work on lists of rows and scores."""

from __future__ import annotations

import numpy as np

from ssft.hwmodel.isa import AccumulateScore, CountRowsColumns, ScatterAddRows, TopK
from ssft.hwmodel.machine.bus import Bus
from ssft.hwmodel.machine.errors import OutOfBoundsError
from ssft.hwmodel.machine.footprints import Footprint


class IndexUnit:
    """Executes scoring, counting, selection and scatter-add commands. All arithmetic is f32."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def accumulate_score(self, command: AccumulateScore) -> None:
        """Adds magnitudes, or squares rounded to f32, to the score."""
        gradient = self.bus.spm_floats(command.gradient, command.elements)
        score = self.bus.spm_floats(command.score, command.elements)
        self.bus.write(self.bus.spm, command.score, Footprint.block(command.elements * 4))
        score += gradient * gradient if command.square else np.abs(gradient)

    def count(self, command: CountRowsColumns) -> None:
        """Counts scores above the threshold; not-a-number is not above it."""
        rows, columns = command.rows, command.columns
        score = self.bus.spm_floats(command.score, rows * columns).reshape(rows, columns)
        threshold = np.array(command.threshold, np.uint32).view(np.float32)
        found = (score > threshold).sum(axis=0 if command.by_column else 1)
        self.bus.spm_floats(command.counts, found.size, write=True)[:] = found

    def top_k(self, command: TopK) -> None:
        """Selects the largest values; not-a-number is less than every number."""
        if command.k > command.count:
            raise OutOfBoundsError(f"selects {command.k} of {command.count} values")
        values = self.bus.spm_floats(command.values, command.count)
        # Sorting is stable, and puts not-a-number last.
        best = np.sort(np.argsort(-values, kind="stable")[: command.k])
        self.bus.aligned(command.index, 8)
        self.bus.write(self.bus.spm, command.index, Footprint.block(command.k * 8))
        self.bus.spm.packed(command.index, np.int64, command.k)[:] = best

    def scatter_add_rows(self, command: ScatterAddRows) -> None:
        """Adds source rows to target rows one after the other, in list order."""
        bus, width = self.bus, command.row_elements
        rows = bus.read_list(command.index, command.count) - command.first
        source = bus.spm_floats(command.source, command.count * width)
        target = bus.spm_floats(command.target, command.rows * width)
        bus.write(bus.spm, command.target, Footprint.block(command.rows * width * 4))
        source, target = source.reshape(-1, width), target.reshape(-1, width)
        for position in np.flatnonzero((rows >= 0) & (rows < command.rows)):
            target[rows[position]] += source[position]

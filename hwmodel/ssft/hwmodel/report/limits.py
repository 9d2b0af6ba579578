"""What a report's figures do not show. Printed with them, so that nobody reads more into them."""

from __future__ import annotations

from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import Program

DENOMINATORS = {
    "utilisation.tensor": "multiply-adds executed / (cycles x peak multiply-adds per cycle)",
    "utilisation.tensor_while_busy": "the same / (busy cycles of the tensor unit x peak)",
    "utilisation.dram": "bytes moved / (seconds x peak bandwidth)",
    "units.*": "cycles of the run; the four parts add up to it",
    "phases.*.cycles": "cycles that the critical path spends in the phase's commands; they add up"
    " to the run, and a phase that is hidden behind others has none",
    "phases.*.active_cycles": "cycles in which a command of the phase works or transfers; phases"
    " overlap",
    "phases.*.energy_joules": "the phase's events, and leakage and standby by its cycles",
    "ops.*.roofline_fraction": "attained flop/s over active cycles / min(peak, intensity x peak"
    " bandwidth), intensity in flop per byte moved",
    "ops.*.bandwidth_fraction": "bytes moved / (seconds active x peak bandwidth)",
    "dram_bytes": "bytes asked for; dram_moved_bytes are whole bursts, the bytes on the pins",
    "rows_updated": "rows of the loops of the row-update unit; `updated` has those of parameters",
    "updated": "positions of dimensions 0 and 1 that stores write. Of lists it is known how long"
    " they are: they count as if nothing else wrote what they select, but never as more than there"
    " is",
    "spm_bytes_by_purpose": "bytes that units read and write, of the tensors whose tiles they are;"
    " sums that are not complete count as what they become, the row buffer's bytes not at all",
    "energy.per_token": "tokens as given by the caller",
    "energy.per_updated_parameter": "elements that the row-update unit updated, unless given",
}
"""What each ratio is a ratio of."""


def limits(machine: Machine, program: Program) -> list[str]:
    """Sentences about what the figures leave out, for this machine and program."""
    found = [
        "microarchitecture and coefficients are inferred from public sources; each constant of the"
        " machine file says how. Absolute joules carry about +-40 %, ratios on equal coefficients"
        " much less",
        "DRAM is a bandwidth with an efficiency per access pattern, measured with DRAMsim3 for one"
        " stream at a time, and a fixed latency; refresh and bank conflicts between the two"
        " directions are not modelled",
        "row lists are taken to ascend, and columns to lie at random: timing computes no values",
        "bank conflicts of the scratchpad, and bandwidth between it and the units, do not slow"
        " anything down; its bytes count for energy only",
        "host transfers, the loading of the program and power gating are not part of a run",
        "cycles of two machines are comparable in seconds only, and only for one and the same plan",
    ]
    if program.machine != machine.name:
        found.append(
            f"the program was scheduled for '{program.machine}' and timed on '{machine.name}':"
            " tiles and schedule are not the best for it"
        )
    changed = [key for key, constant in machine.constants.items() if constant.label == "SET"]
    if changed:
        found.append(f"constants were set by hand: {', '.join(changed)}")
    if machine.baseline is not None and machine.baseline.enabled:
        found.append(
            "multiply-adds that the baseline's assumed sparsity skips are credited in cycles and"
            " joules, without their loss in accuracy"
        )
    return found

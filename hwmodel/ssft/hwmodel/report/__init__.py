"""Reports of simulated runs: JSON first, then views of it."""

from ssft.hwmodel.report.compare import Comparison, compare
from ssft.hwmodel.report.perfetto import trace, write_trace
from ssft.hwmodel.report.report import machine_identity, report
from ssft.hwmodel.report.table_csv import commands_csv, operations_csv

__all__ = [
    "Comparison",
    "commands_csv",
    "compare",
    "machine_identity",
    "operations_csv",
    "report",
    "trace",
    "write_trace",
]

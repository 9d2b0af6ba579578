"""Configuration of lit for the tests of our tools; works without installing the package."""
# ruff: noqa: F821 (lit defines `config`)

import atexit
import os
import shutil
import stat
import sys
import tempfile
import tomllib
from pathlib import Path

here = Path(__file__).resolve().parent
repository = here.parents[1]
sys.path[:0] = [str(here), *(str(repository / part) for part in ("compiler", "dialects"))]

from fork_format import ForkFormat  # noqa: E402 (needs the path)

config.name = "SSFT"
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "Output"]
config.test_source_root = str(here)
config.test_format = ForkFormat()

# Scratch files of concurrent runs must not meet.
scratch = Path(tempfile.mkdtemp(prefix="ssft-lit-"))
owner = os.getpid()
atexit.register(lambda: os.getpid() == owner and shutil.rmtree(scratch, ignore_errors=True))
config.test_exec_root = str(scratch)

# A script for each of our tools, for RUN lines that ForkFormat leaves to a shell.
bin_ = scratch / "bin"
bin_.mkdir()
scripts = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["scripts"]
for name, entry in scripts.items():
    module, function = entry.split(":")
    script = bin_ / name
    call = f"import sys; from {module} import {function}; sys.exit({function}())"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{call}\' "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)

roots = [str(repository / part) for part in ("compiler", "dialects", "runtime", "hwmodel")]
config.environment["PYTHONPATH"] = os.pathsep.join(roots)
config.environment["PATH"] = os.pathsep.join(
    [str(bin_), str(Path(sys.executable).parent), os.environ["PATH"]]
)
config.substitutions.append(("%python", sys.executable))
config.recursiveExpansionLimit = 3

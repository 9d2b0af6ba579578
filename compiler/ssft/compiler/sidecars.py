"""The files that lie beside a plan: its weights, and the step that measures its model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import atomic_output, has_place, sha256_of
from ssft.compiler.plan_schema import WeightsFile
from ssft.dialects._mlir import ir

CONTENTS = {"ssft.weights": "weights", "ssft.measure": "measuring step"}
"""What the files hold that these module attributes name."""


def is_file_name(name: str) -> bool:
    """Whether `name` means a file beside the plan.

    A plan is data from elsewhere: it must not make us open files outside its directory.
    """
    return Path(name).name == name and name not in ("", ".", "..")


Sidecar = tuple[str, WeightsFile]
"""A file, and the module attribute that names it."""


def sidecars_of(module: ir.Operation) -> list[Sidecar]:
    """The files beside a plan; of any other module, none."""
    found = []
    for key in CONTENTS:
        entry = module.attributes.get(key, None)
        if isinstance(entry, ir.DictAttr):
            parts = [entry[name] for name in ("file", "sha256") if name in entry]
            texts = [part.value for part in parts if isinstance(part, ir.StringAttr)]
            if len(texts) == 2:
                found.append((key, WeightsFile(*texts)))
    return found


def copy_sidecars(
    files: Iterable[Sidecar], source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> None:
    """Copies `files` from beside the plan `source` to beside the plan `target`, to be written next.

    Nothing is done if both are in one folder, or `target` is a device or pipe. A file that is not
    beside `source` is not beside `target` either; one that is there already is left as it is.

    Raises:
        UserError: another file of that name is beside `target`, or a copy cannot be written.
    """
    old, new = Path(source).parent, Path(target).parent
    if not has_place(target) or not new.is_dir() or os.path.samefile(old, new):
        return
    for key, named in files:
        if not is_file_name(named.file) or not (old / named.file).is_file():
            continue
        place = new / named.file
        if not place.exists():
            with atomic_output(place) as temporary:
                shutil.copyfile(old / named.file, temporary)
        elif not place.is_file() or sha256_of(place) != named.sha256:
            raise UserError(
                f"the {CONTENTS[key]} of '{source}' cannot be put beside '{target}': "
                f"'{place}' holds something else",
                notes=["remove that file, or write the plan to another folder"],
            )

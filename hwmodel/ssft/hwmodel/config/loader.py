"""Reads machine descriptions: presets by name, other files by path."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ssft.hwmodel.config.entries import Problem, flat_entries, read_entry
from ssft.hwmodel.config.leaves import leaves
from ssft.hwmodel.config.overrides import read_override
from ssft.hwmodel.config.provenance import Constant
from ssft.hwmodel.config.schema import Machine
from ssft.hwmodel.errors import MachineError

PRESETS = Path(__file__).parent / "presets"
TEXTS = ("name", "description", "based_on")


def preset_names() -> list[str]:
    """Names of the machines that come with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def list_machines() -> list[tuple[str, str]]:
    """(name, description) of every preset."""
    return [(name, _read_toml(_find(name))["description"]) for name in preset_names()]


def load_machine(name: str | Path, overrides: Iterable[str] = ()) -> Machine:
    """The machine of a preset's name or of a TOML file's path, with `overrides` applied.

    An override is ``key=value`` with an optional unit, as in ``dram.bandwidth=1TB/s``.

    Raises MachineError if the file is missing, unreadable or not a machine, or if an override is
    of an unknown constant or of the wrong unit.
    """
    path = _find(name)
    texts, constants = _read_chain(path, ())
    settings = dict(read_override(setting) for setting in overrides)
    return _build(str(path) if path.parent != PRESETS else path.stem, texts, constants, settings)


def _find(name: str | Path) -> Path:
    text = str(name)
    if text in preset_names():
        return PRESETS / f"{text}.toml"
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise MachineError(f"no machine file '{text}'", [f"presets: {', '.join(preset_names())}"])
    close = get_close_matches(text, preset_names(), n=1)
    hint = [f"did you mean '{close[0]}'?"] if close else []
    presets = f"presets: {', '.join(preset_names())}; or give the path of a TOML file"
    raise MachineError(f"no machine '{text}'", [*hint, presets])


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MachineError(f"cannot read machine file '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MachineError(f"machine file '{path}' is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        note = "a machine file is TOML; `name = …` and tables such as [dram]"
        raise MachineError(f"machine file '{path}' is not TOML: {error}", [note]) from error


def _read_chain(path: Path, above: tuple[Path, ...]) -> tuple[dict[str, str], dict[str, Constant]]:
    """Texts and constants of a file, over those of the machine that it is based on."""
    if path.resolve() in above:
        raise MachineError(f"machine file '{path}' is based on itself")
    document = _read_toml(path)
    texts = {key: document.pop(key) for key in TEXTS if key in document}
    for key, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise MachineError(f"machine file '{path}': '{key}' is {text!r}, expected text")
    constants: dict[str, Constant] = {}
    if (base := texts.pop("based_on", None)) is not None:
        beside = path.parent / base
        base_path = beside if beside.is_file() else _find(base)
        inherited, constants = _read_chain(base_path, (*above, path.resolve()))
        texts = inherited | texts
    read = {key: read_entry(key, entry) for key, entry in flat_entries(document)}
    if problems := [entry for entry in read.values() if isinstance(entry, Problem)]:
        raise _failure(str(path), problems)
    return texts, constants | {k: v for k, v in read.items() if isinstance(v, Constant)}


def _build(
    where: str,
    texts: dict[str, str],
    constants: dict[str, Constant],
    settings: dict[str, Constant],
) -> Machine:
    given = constants | settings
    ordered = {key: given[key] for key in leaves() if key in given}
    if problems := _missing(texts, ordered):
        raise _failure(where, problems)
    nested: dict[str, Any] = dict(texts)
    for key, constant in ordered.items():
        *sections, last = key.split(".")
        table = nested
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = constant.value
    try:
        machine = Machine.model_validate(nested)
    except ValidationError as error:
        raise _failure(where, [_problem(e) for e in error.errors()]) from error
    machine._constants.update(ordered)
    return machine


def _missing(texts: dict[str, str], given: dict[str, Constant]) -> list[Problem]:
    """Constants that must be given: all, but for sections that are wholly absent and optional."""
    hint = 'write `based_on = "ssft-server"` to take over what a file does not give'
    problems = [
        Problem(key, "is missing", "a machine has a name and a description")
        for key in ("name", "description")
        if key not in texts
    ]
    for key, leaf in leaves().items():
        section = leaf.optional_section
        absent = section is not None and not any(k.startswith(section + ".") for k in given)
        if leaf.required and key not in given and not absent:
            text = f"is missing, expected {leaf.description}, in {leaf.unit}"
            whole = f"give all of {section}.*, or none; transcode-server has them"
            problems.append(Problem(key, text, hint if section is None else whole))
    return problems


def _problem(error: Any) -> Problem:
    """A value that the schema does not allow."""
    key = ".".join(str(part) for part in error["loc"] if not isinstance(part, int))
    leaf = leaves().get(key)
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if leaf is None:
        return Problem(key, f"is not consistent: {message}", "set the constants that it names")
    shown = f"is {error['input']!r} {leaf.unit}" if leaf.is_number else f"is {error['input']!r}"
    return Problem(key, f"{shown}; it {message}", f"it is: {leaf.description}")


def _failure(where: str, problems: list[Problem]) -> MachineError:
    first, *others = problems
    notes = [first.hint, *(f"{problem}: {problem.hint}" for problem in others)]
    return MachineError(f"machine '{where}': {first}", notes)

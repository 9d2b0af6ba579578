"""``ssft-adapter``: look at adapters, put them on weights, take them off, join and convert them."""

from __future__ import annotations

import argparse
import faulthandler
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import check_directory
from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.tools.console import print_error
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime.adapters import Adapter, apply, fuse, load_adapter, remove, save_adapter
from ssft.runtime.adapters.peft import load_peft, save_peft

EXAMPLES = """\
examples:
  ssft-run plan.mlir --steps 100 --adapter task.safetensors
  ssft-adapter info task.safetensors
  ssft-adapter apply task.safetensors model.safetensors -o tuned.safetensors
  ssft-adapter remove task.safetensors tuned.safetensors -o model.safetensors
  ssft-adapter fuse one.safetensors two.safetensors -o both.safetensors
  ssft-adapter to-peft task.safetensors -o task-lora
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the tool; returns 0, 1 for a diagnosed failure, 2 for a bad command line."""
    if not faulthandler.is_enabled():
        faulthandler.enable()
    parsed = _parser().parse_args(arguments)
    try:
        _check_output(parsed)
        handler: Callable[[argparse.Namespace], None] = parsed.handler
        handler(parsed)
    except UserError as error:
        print_error(error, "ssft-adapter")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        print("ssft-adapter: internal error: please report it", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssft-adapter",
        description="Look at adapters, put them on weights, take them off, join and convert them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, handler: Callable[..., None], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(handler=handler)
        return made

    made = command("info", _info, "what an adapter changes")
    made.add_argument("adapter")
    for name, handler, text in (
        ("apply", _apply, "put an adapter on a model's weights"),
        ("remove", _remove, "take an adapter off again; every byte is as before"),
    ):
        made = command(name, handler, text)
        made.add_argument("adapter")
        made.add_argument("weights", help="the model's weights, a safetensors file")
        made.add_argument("-o", "--output", metavar="FILE", required=True)
    made = command("fuse", _fuse, "join adapters of one base; what overlaps is reported")
    made.add_argument("adapters", nargs="+", metavar="adapter")
    made.add_argument("-o", "--output", metavar="FILE", required=True)
    made = command("to-peft", _to_peft, "write an adapter as a LoRA that peft reads")
    made.add_argument("adapter")
    made.add_argument("-o", "--output", metavar="DIRECTORY", required=True)
    made.add_argument("--base-model", metavar="NAME", help="of the base, for peft")
    made.add_argument(
        "--transposed", action="store_true", help="weights are stored [in, out], as GPT-2's are"
    )
    made = command("from-peft", _from_peft, "read a LoRA of peft as an adapter")
    made.add_argument("directory")
    made.add_argument("weights", help="the base's weights, a safetensors file")
    made.add_argument("-o", "--output", metavar="FILE", required=True)
    return parser


def _check_output(parsed: argparse.Namespace) -> None:
    output = getattr(parsed, "output", None)
    if output is None:
        return
    check_directory(output)
    given = [getattr(parsed, name, None) for name in ("adapter", "weights")]
    for name in (*given, *getattr(parsed, "adapters", ())):
        if name is not None and Path(name).resolve() == Path(output).resolve():
            raise UserError(
                f"-o {output} would overwrite an input", notes=["name another file"], exit_code=2
            )


def _info(parsed: argparse.Namespace) -> None:
    adapter = load_adapter(parsed.adapter)
    console = Console(highlight=False)
    about = ", ".join(f"{key} {value}" for key, value in adapter.about.items())
    console.print(
        f"{escape(parsed.adapter)}: {adapter.elements:,} elements of {len(adapter.names)} "
        f"parameters{escape(f'; {about}') if about else ''}",
        soft_wrap=True,
    )
    base = f"base of {len(adapter.hashes)} parameters, SHA-256 {adapter.base_hash}"
    console.print(base, soft_wrap=True)
    table = Table()
    for column in ("parameter", "shape", "rows", "columns", "elements", "change (2-norm)"):
        table.add_column(column, justify="left" if column == "parameter" else "right")
    for part in adapter.parts:
        sides = ("all" if i is None else f"{len(i)}" for i in (part.rows, part.columns))
        table.add_row(
            *(escape(part.name), "x".join(map(str, part.shape)), *sides, f"{part.elements:,}"),
            f"{np.linalg.norm(part.change):.3g}",
        )
    console.print(table)


def _apply(parsed: argparse.Namespace) -> None:
    _rewrite(parsed, apply)


def _remove(parsed: argparse.Namespace) -> None:
    _rewrite(parsed, remove)


def _rewrite(
    parsed: argparse.Namespace, change: Callable[[dict[str, Array], Adapter], None]
) -> None:
    adapter = load_adapter(parsed.adapter)
    file = read_safetensors(parsed.weights)
    touched = {name for n in adapter.names for name in (n, *adapter.aliases.get(n, ()))}
    weights = {
        name: Array(array.dtype, np.array(array.data)) if name in touched else array
        for name, array in file.arrays.items()
    }
    change(weights, adapter)
    for name in adapter.names:  # tied weights may be stored under each of their names
        for alias in adapter.aliases.get(name, ()):
            if alias in weights:
                weights[alias] = weights[name]
    write_safetensors(parsed.output, weights, file.metadata)


def _fuse(parsed: argparse.Namespace) -> None:
    found = fuse([load_adapter(path) for path in parsed.adapters])
    save_adapter(parsed.output, found.adapter)
    total = sum(found.overlap.values())
    print(f"{found.adapter.elements:,} elements; {total:,} are changed by several adapters")
    for name, count in found.overlap.items():
        print(f"  {name}: {count:,}")


def _to_peft(parsed: argparse.Namespace) -> None:
    adapter = load_adapter(parsed.adapter)
    save_peft(parsed.output, adapter, base_model=parsed.base_model, transposed=parsed.transposed)


def _from_peft(parsed: argparse.Namespace) -> None:
    weights = read_safetensors(parsed.weights).arrays
    save_adapter(parsed.output, load_peft(parsed.directory, weights))


if __name__ == "__main__":
    sys.exit(main())

"""A lit test format that runs `ssft-opt` and `filecheck` in forks of the lit worker.

A RUN line that is a pipeline of these two, with ``not``, ``2>&1`` and redirections at most, is run
without starting a Python interpreter: everything is imported once, and each command is a forked
child, so that a crash is one test's failure. Any other RUN line goes to lit's own shell. Set
``SSFT_LIT_SHELL=1`` to send all of them there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import lit.formats
import lit.Test
import lit.TestRunner
from filecheck.main import main as filecheck_main

from ssft.compiler.tools.ssft_opt import main as ssft_opt_main
from ssft.dialects._mlir import preload_linalg

preload_linalg()  # before the first fork, so that it is done once

TIME_LIMIT_SECONDS = 60
"""A command that takes longer is killed and fails its test."""

_DEBUG_PREFIX = re.compile(r"^%dbg\([^)]*\)\s*")
_PUNCTUATION = {"|", ">", "<", ">&", "&&", "||", ";", "&", "(", ")", ">>", "<<"}


@dataclass
class Command:
    """One stage of a pipeline."""

    words: list[str] = field(default_factory=list)
    negated: bool = False
    joins_stderr: bool = False
    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None


@dataclass
class Result:
    """Exit status of a pipeline and all that its stages left on standard output and error."""

    ok: bool
    log: str


def filecheck(words: list[str]) -> int:
    """Runs `filecheck` in this process."""
    return filecheck_main(["filecheck", *words])


TOOLS: dict[str, Callable[[list[str]], int]] = {
    "ssft-opt": ssft_opt_main,
    "filecheck": filecheck,
    "FileCheck": filecheck,
}


def parse_command(text: str) -> list[Command] | None:
    """Returns the stages of a RUN line, or `None` if it is not of the simple kind."""
    if re.search(r"[*?$`~]", re.sub(r"'[^']*'", "", text)):
        return None  # the shell would expand something
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|<>&;()")
    lexer.whitespace_split = True
    stages = [Command()]
    words = list(lexer)
    while words:
        word = words.pop(0)
        stage = stages[-1]
        if word == "|":
            stages.append(Command())
        elif word == "2" and words[:2] == [">&", "1"]:
            words = words[2:]
            stage.joins_stderr = True
        elif word in (">", "<") and words:
            setattr(stage, {">": "stdout", "<": "stdin"}[word], words.pop(0))
        elif word == "2" and words[:1] == [">"] and len(words) > 1:
            stage.stderr = words[1]
            words = words[2:]
        elif word in _PUNCTUATION:
            return None
        elif word == "not" and not stage.words:
            stage.negated = not stage.negated
        else:
            stage.words.append(word)
    simple = all(stage.words and stage.words[0] in TOOLS for stage in stages)
    return stages if simple else None


def run_command(stages: list[Command], directory: str | None = None) -> Result:
    """Runs the stages one after the other, each fed with what the last one printed."""
    log: list[str] = []
    previous = b""
    ok = True
    for stage in stages:
        code, previous, errors = _run_stage(stage, previous, directory)
        # A crash is a failure even of a command that is expected to fail.
        stage_ok = code > 0 if stage.negated else code == 0
        ok &= stage_ok
        if not stage_ok:
            log.append(f"$ {shlex.join(stage.words)}\nexit code {code}")
        log.append(errors.decode(errors="replace"))
    log.append(previous.decode(errors="replace"))
    return Result(ok, "\n".join(filter(None, log)))


def _run_stage(stage: Command, stdin: bytes, directory: str | None) -> tuple[int, bytes, bytes]:
    """Runs a stage in a child; returns exit code (-N for signal N), output and error output."""
    with contextlib.ExitStack() as stack:

        def open_file(path: str | None, mode: str) -> object:
            file = open(path, mode) if path else tempfile.TemporaryFile()  # noqa: SIM115
            return stack.enter_context(file)

        source = open_file(stage.stdin, "rb")
        if not stage.stdin:
            source.write(stdin)
            source.seek(0)
        output = open_file(stage.stdout, "w+b")
        errors = output if stage.joins_stderr else open_file(stage.stderr, "w+b")
        child = os.fork()
        if child == 0:
            _become(stage, source.fileno(), output.fileno(), errors.fileno(), directory)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, _contents(output), b"" if errors is output else _contents(errors)


def _contents(file: object) -> bytes:
    file.seek(0)
    return file.read()


def _become(stage: Command, source: int, output: int, errors: int, directory: str | None) -> None:
    """Turns the forked child into the tool; does not return."""
    code = 70
    try:
        signal.alarm(TIME_LIMIT_SECONDS)
        for descriptor, standard in ((source, 0), (output, 1), (errors, 2)):
            os.dup2(descriptor, standard)
        if directory:
            os.chdir(directory)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        code = TOOLS[stage.words[0]](stage.words[1:])
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code or 0)


class ForkFormat(lit.formats.ShTest):
    """`ShTest`, with the shortcut described above."""

    def execute(self, test: lit.Test.Test, litConfig: object) -> lit.Test.Result:
        """Runs one test file."""
        commands = None if os.environ.get("SSFT_LIT_SHELL") else commands_of(test)
        if isinstance(commands, lit.Test.Result):
            return commands
        if commands is None:
            return super().execute(test, litConfig)
        log = ""
        for command in commands:
            result = run_command(command, test.config.test_exec_root)
            log += result.log
            if not result.ok:
                return lit.Test.Result(lit.Test.FAIL, log)
        return lit.Test.Result(lit.Test.PASS, log)


def commands_of(test: lit.Test.Test) -> list[list[Command]] | lit.Test.Result | None:
    """The test's RUN lines, substituted and parsed; `None` if one of them needs a shell."""
    script = lit.TestRunner.parseIntegratedTestScript(test)
    if isinstance(script, lit.Test.Result):
        return script
    directory, base = lit.TestRunner.getTempPaths(test)
    os.makedirs(directory, exist_ok=True)
    substitutions = [
        *test.config.substitutions,
        *lit.TestRunner.getDefaultSubstitutions(test, directory, base),
    ]
    lines = lit.TestRunner.applySubstitutions(
        list(script), substitutions, {}, recursion_limit=test.config.recursiveExpansionLimit
    )
    commands = []
    for line in lines:
        command = parse_command(_DEBUG_PREFIX.sub("", getattr(line, "command", line)))
        if command is None:
            return None
        commands.append(command)
    return commands

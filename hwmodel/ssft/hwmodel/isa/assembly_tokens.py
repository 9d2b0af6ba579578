"""Lines of assembly as tokens, and the errors that point at them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from ssft.hwmodel.errors import MachineError

T = TypeVar("T")

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+ | (?:\d+\.\d* | \.\d+ | \d+)(?:[eE][-+]?\d+)? | inf\b
        | nan\b))
    | (?P<register>%\d+)
    | (?P<word>[A-Za-z_](?:[A-Za-z0-9_.]|-(?=[a-z]))*)
    | (?P<mark>->|>=|[=\[\]{},:*])
    | (?P<end>;.*|$)
    | (?P<bad>.)
    )""",
    re.VERBOSE | re.ASCII,
)


class AssemblyError(MachineError):
    """An error in assembly text; its message starts with ``file:line:column: error:``."""

    def __init__(self, file: str, line: int, column: int, message: str, note: str) -> None:
        super().__init__(f"{file}:{line}:{column}: error: {message}", [note])
        self.file, self.line, self.column = file, line, column


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line; `column` counts from 1."""

    kind: str
    text: str
    column: int


REQUIRED = object()
"""The default of a field that must be given."""


class Line:
    """A line of assembly, read from left to right; the comment is not there any more."""

    def __init__(self, file: str, number: int, text: str) -> None:
        self.file, self.number, self.text = file, number, text
        self._tokens: list[Token] | None = None
        self._next = 0

    @property
    def tokens(self) -> list[Token]:
        """The line's tokens; the last one is its end."""
        if self._tokens is None:
            self._tokens = list(self._tokenize())
        return self._tokens

    def _tokenize(self) -> Iterator[Token]:
        at = 0
        while True:
            match = _TOKEN.match(self.text, at)
            assert match, "every character is a token or a bad one"
            kind = str(match.lastgroup)
            token = Token(kind, match[kind], match.start(kind) + 1)
            if kind == "bad":
                self.fail(
                    f"unexpected character {token.text!r}",
                    "a string that is not closed?" if token.text == '"' else "leave it out",
                    token,
                )
            yield token
            if kind == "end":
                return
            at = match.end()

    def fail(self, message: str, note: str, token: Token | None = None) -> NoReturn:
        """Raises an `AssemblyError` at `token`, or else at the next one."""
        column = (token or self.tokens[self._next]).column
        raise AssemblyError(self.file, self.number, column, message, note)

    def peek(self) -> Token:
        """The next token, which stays the next one."""
        return self.tokens[self._next]

    def take(self, kind: str, what: str) -> Token:
        """The next token, which must be of a kind."""
        token = self.peek()
        if token.kind != kind:
            self.fail(f"expected {what}, found {_shown(token)}", f"the line is: {self._outline()}")
        self._next += 1
        return token

    def _outline(self) -> str:
        return self.text.partition(";")[0].strip()[:80]

    def accept(self, text: str) -> bool:
        """Takes the next token if it is this mark or word."""
        token = self.peek()
        if token.kind not in ("mark", "word") or token.text != text:
            return False
        self._next += 1
        return True

    def expect(self, text: str) -> None:
        """Takes a mark or word that must be there."""
        if not self.accept(text):
            token = self.peek()
            self.fail(
                f"expected '{text}', found {_shown(token)}", f"the line is: {self._outline()}"
            )

    def word(self, what: str, allowed: Sequence[str] | None = None) -> str:
        """A word, perhaps one of those allowed."""
        token = self.take("word", what)
        if allowed is not None and token.text not in allowed:
            self.fail(f"unknown {what} '{token.text}'", f"known are: {', '.join(allowed)}", token)
        return token.text

    def string(self) -> str:
        """A string in double quotes, with JSON's escapes."""
        token = self.take("string", "a string")
        try:
            return json.loads(token.text, strict=False)
        except ValueError as error:
            self.fail(f"bad string: {error}", "escapes are those of JSON", token)

    def integer(self) -> int:
        """A whole number."""
        token = self.take("number", "an integer")
        try:
            number = int(token.text, 0)
        except ValueError:
            self.fail(
                f"expected an integer, found {token.text}",
                "integers are decimal without leading zeros, or hexadecimal after 0x",
                token,
            )
        if not -(1 << 63) <= number < 1 << 64:
            self.fail(f"{token.text} has more than 64 bits", "no field is wider", token)
        return number

    def scalar(self) -> int | float:
        """A whole number, or with a point, an exponent, or ``inf`` or ``nan``, a float."""
        text = self.peek().text.lower()
        if "0x" not in text and any(mark in text for mark in (".", "e", "n")):
            return float(self.take("number", "a number").text)
        return self.integer()

    def unsigned(self, bits: int) -> int:
        """A whole number of at least 0 and at most so many bits."""
        token = self.peek()
        value = self.integer()
        if value >> bits:
            self.fail(f"{token.text} does not fit {bits} bits", f"at most {(1 << bits) - 1}", token)
        return value

    def register(self) -> int:
        """The number of a register."""
        return int(self.take("register", "a register such as %0").text[1:])

    def registers(self) -> tuple[int, ...]:
        """Registers with commas between, perhaps none."""
        if self.peek().kind != "register":
            return ()
        found = [self.register()]
        while self.accept(","):
            found.append(self.register())
        return tuple(found)

    def numbered(self, count: int, what: str) -> None:
        """The number of a table's entry, of which there were `count` before."""
        token = self.peek()
        value = self.integer()
        if value != count:
            self.fail(f"{what} {value} stands where {what} {count} is due",
                      "entries are numbered from 0 without gaps", token)  # fmt: skip

    def items(self, item: Callable[[], T]) -> tuple[T, ...]:
        """Items between brackets, with commas."""
        self.expect("[")
        if self.accept("]"):
            return ()
        found = [item()]
        while not self.accept("]"):
            self.expect(",")
            found.append(item())
        return tuple(found)

    def integers(self) -> tuple[int, ...]:
        """Whole numbers between brackets."""
        return self.items(self.integer)

    def pair(self) -> tuple[int, int]:
        """Two whole numbers between brackets."""
        token = self.peek()
        numbers = self.integers()
        if len(numbers) != 2:
            self.fail(f"expected two numbers, found {len(numbers)}", "e.g. [4, 8]", token)
        return numbers[0], numbers[1]

    def fields(self, parsers: dict[str, tuple[Callable[[], Any], Any]]) -> dict[str, Any]:
        """``name=value`` in any order; for each name a parser and a default or `REQUIRED`."""
        values: dict[str, Any] = {}
        while self.peek().kind == "word":
            token = self.peek()
            name = self.word("field", list(parsers))
            if name in values:
                self.fail(f"'{name}' is given twice", "leave one out", token)
            self.expect("=")
            values[name] = parsers[name][0]()
        for name, (_, default) in parsers.items():
            if name not in values:
                if default is REQUIRED:
                    self.fail(f"'{name}' is missing", f"required are: {_required(parsers)}")
                values[name] = default
        return values

    def finish(self) -> None:
        """Nothing else may follow."""
        token = self.peek()
        if token.kind != "end":
            self.fail(f"unexpected {_shown(token)}", "the line should end here", token)


def _required(parsers: dict[str, tuple[Any, Any]]) -> str:
    return ", ".join(name for name, (_, default) in parsers.items() if default is REQUIRED)


def _shown(token: Token) -> str:
    return "the end of the line" if token.kind == "end" else f"'{token.text}'"


def quoted(text: str) -> str:
    """A string in double quotes; all in ASCII, on one line."""
    return json.dumps(text)


def list_text(values: Iterable[int]) -> str:
    """Whole numbers between brackets."""
    return f"[{', '.join(str(int(value)) for value in values)}]"


def scalar_text(value: float | str) -> str:
    """A number or a string, in the form that says which; `repr` of a float is exact."""
    if isinstance(value, str):
        return quoted(value)
    return repr(value) if isinstance(value, float) else str(int(value))

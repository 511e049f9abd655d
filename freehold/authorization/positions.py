"""Where in a policy's text each statement stands: lines and columns, as AWS's policy simulator counts them.

Both begin with 1. A statement ends after its closing brace. It begins where the reading of it did: after the bracket of
the list or after the statement before it, and after its own opening brace where it is the only one and not in a list.
(So AWS counts in its examples of `aws iam simulate-custom-policy` and `simulate-principal-policy`.) A line ends with
LF, CR, or CR LF.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_Statement.html
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Final, NamedTuple

_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL)
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")


class Position(NamedTuple):
    line: int
    column: int


class Place(NamedTuple):
    """`start` and `end` are offsets of characters: `text[start:end]` holds the statement's closing brace last."""

    start: int
    end: int


def statement_places(text: str) -> list[Place]:
    """The places of the statements of a policy that was accepted by `document.parse`, in their order."""
    depth = 0
    in_statement = False  # inside the value of the top-level "Statement"
    expecting_key = False
    key = ""
    start = 0
    lone = False
    places: list[Place] = []
    for token in _TOKENS.finditer(text):
        sign = token[0]
        if sign in "{[":
            if not in_statement and depth == 1 and key == "Statement":
                in_statement, lone, start = True, sign == "{", token.end()
            depth += 1
            expecting_key = sign == "{"
        elif sign in "}]":
            depth -= 1
            if in_statement and sign == "}" and depth == (1 if lone else 2):
                places.append(Place(start, token.end()))
                start = token.end()
            if in_statement and depth == 1:
                in_statement, key = False, ""
        elif sign == ",":
            expecting_key = depth == 1
        elif sign == ":":
            expecting_key = False
        elif expecting_key and depth == 1:
            key = json.loads(sign, strict=False)
    return places


class Lines:
    """Turns offsets in one text into positions."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(end.end() for end in _LINE_ENDS.finditer(text))]

    def position(self, offset: int) -> Position:
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)


def statement_positions(text: str) -> list[tuple[Position, Position]]:
    """(where it begins, where it ends) of each statement."""
    lines = Lines(text)
    return [(lines.position(place.start), lines.position(place.end)) for place in statement_places(text)]

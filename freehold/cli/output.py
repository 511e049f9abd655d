"""What commands print: tables for people, JSON for programs, problems in one line."""

from __future__ import annotations

import json
import sys
from typing import Any


class Problem(Exception):
    """A command can't do what was asked; the text says what to change."""


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    """A line for a person; rich markup allowed."""
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text)


def printable(text: str) -> str:
    """What somebody else chose, such as an object's key, without signs that a terminal would act on."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign == "\n" else sign.encode("unicode_escape").decode() for sign in text
    )


def counted(number: int, noun: str) -> str:
    """`1 key`, `2 keys`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

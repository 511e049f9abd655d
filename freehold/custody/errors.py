"""What can go wrong with custody. Messages are one line, say what to change, and show no secret."""

from __future__ import annotations


class CustodyError(Exception):
    """The root key cannot be had, or the keyring cannot be opened."""


class Locked(CustodyError):
    """People are needed: a passphrase or shares that nobody has given yet."""


class WrongSecret(CustodyError):
    """What was given is not what the root key was put under."""

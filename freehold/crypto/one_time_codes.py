"""Time-based one-time codes (RFC 6238) as virtual MFA devices make them: six digits, SHA-1, a step of 30 seconds.

Finds the step whose code was given; that a code counts once is the caller's to keep, with the step it got.
https://www.rfc-editor.org/rfc/rfc6238
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

STEP_SECONDS: Final = 30
DIGITS: Final = 6
SEED_BYTES: Final = 40
"""64 characters of base32, as AWS's seeds have."""
WINDOW_STEPS: Final = 1
"""How far a device's clock may be off, either way, from where it was when its codes were last compared."""
REACH_STEPS: Final = 120
"""How far it may be off when it shows two codes in a row: an hour either way."""


class WrongCode(Exception):
    """No step within reach has this code, or it was used before."""


def new_seed() -> bytes:
    return secrets.token_bytes(SEED_BYTES)


def step_at(seconds: float) -> int:
    return int(seconds) // STEP_SECONDS


def step_of(seed: bytes, code: str, *, around: int, after: int) -> int:
    """The step within the window `around` one, and later than `after`, that has this code. Raises WrongCode."""
    found = None
    made = HOTP(seed, DIGITS, SHA1())  # noqa: S303 - the standard's, and what authenticator apps make
    for step in range(max(0, around - WINDOW_STEPS), around + WINDOW_STEPS + 1):
        if compare_digest(made.generate(step), code.encode()) and step > after:
            found = step
    if found is None:
        raise WrongCode
    return found


def step_of_two(seed: bytes, first: str, second: str, *, around: int, after: int) -> int:
    """The step of `second`, whose code follows that of `first`, nearest to `around`. Raises WrongCode."""
    made = HOTP(seed, DIGITS, SHA1())  # noqa: S303
    found = None
    before = b""
    for step in range(max(0, around - REACH_STEPS), around + REACH_STEPS + 1):
        code = made.generate(step)
        if (
            compare_digest(before, first.encode())
            and compare_digest(code, second.encode())
            and step > after
            and (found is None or abs(step - around) < abs(found - around))
        ):
            found = step
        before = code
    if found is None:
        raise WrongCode
    return found

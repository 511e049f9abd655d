"""One-time codes: RFC 6238's vectors, the window, and codes that count once."""

from __future__ import annotations

import pytest

from freehold.crypto import one_time_codes
from freehold.crypto.one_time_codes import WrongCode, step_of, step_of_two

SEED = b"12345678901234567890"
VECTORS = [
    # seconds, the last six digits of RFC 6238's Appendix B for SHA-1 (https://www.rfc-editor.org/rfc/rfc6238)
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_rfcs_codes_are_those_of_their_step(seconds: int, code: str) -> None:
    step = one_time_codes.step_at(seconds)
    assert step_of(SEED, code, around=step, after=0) == step


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_code_one_step_off_is_accepted(off: int) -> None:
    step = one_time_codes.step_at(1234567890)
    assert step_of(SEED, "005924", around=step + off, after=0) == step


@pytest.mark.parametrize("off", [-2, 2, 100])
def test_a_code_further_off_is_not(off: int) -> None:
    with pytest.raises(WrongCode):
        step_of(SEED, "005924", around=one_time_codes.step_at(1234567890) + off, after=0)


def test_a_used_step_and_those_before_it_are_not_accepted() -> None:
    step = one_time_codes.step_at(1234567890)
    for after in (step, step + 1):
        with pytest.raises(WrongCode):
            step_of(SEED, "005924", around=step, after=after)


@pytest.mark.parametrize("code", ["", "00592", "0059240", "5924", "００５９２４"])
def test_what_is_no_code_is_wrong(code: str) -> None:
    with pytest.raises(WrongCode):
        step_of(SEED, code, around=one_time_codes.step_at(1234567890), after=0)


def test_two_codes_in_a_row_are_found_within_an_hour() -> None:
    step = one_time_codes.step_at(1111111111)  # its code follows that of 1111111109
    for off in (0, 119, -119):
        assert step_of_two(SEED, "081804", "050471", around=step + off, after=0) == step
    for first, second, around, after in (
        ("081804", "050471", step + 121, 0),
        ("081804", "050471", step, step),
        ("050471", "081804", step, 0),
        ("050471", "050471", step, 0),
        ("", "081804", step, 0),
    ):
        with pytest.raises(WrongCode):
            step_of_two(SEED, first, second, around=around, after=after)


def test_seeds_differ_and_have_160_bits_at_least() -> None:
    seeds = {one_time_codes.new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {40}

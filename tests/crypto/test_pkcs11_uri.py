"""PKCS#11 URIs, and the settings of key stores that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.crypto.pkcs11_uri import BadUri, TokenUri, parse

MODULE = "module-path=/usr/lib/softhsm/libsofthsm2.so"


def test_a_uri_names_a_library_and_a_token() -> None:
    named = parse(f"pkcs11:token=my%20token;serial=0b8a27cff5802c32?{MODULE}&x-account=1", ("x-account",))
    assert named == TokenUri(
        Path("/usr/lib/softhsm/libsofthsm2.so"), "my token", "0b8a27cff5802c32", own={"x-account": "1"}
    )


BAD = [
    "",
    "token=a",
    f"https:token=a?{MODULE}",
    "pkcs11:token=a",
    "pkcs11:token=a?module-path=relative.so",
    f"pkcs11:?{MODULE}",
    f"pkcs11:token=?{MODULE}",
    f"pkcs11:token=a;token=b?{MODULE}",
    f"pkcs11:token=a;slot-id=1?{MODULE}",
    f"pkcs11:token=a?{MODULE}&pin-value=1234",
    f"pkcs11:token=a?{MODULE}&pin-source=/etc/pin",
    f"pkcs11:token=a?{MODULE}&x-other=1",
    f"pkcs11:token=%ff?{MODULE}",
    f"pkcs11:token=%2?{MODULE}",
    f"pkcs11:token=a b?{MODULE}",
    f"pkcs11:token={'a' * 5000}?{MODULE}",
]


@pytest.mark.parametrize("text", BAD)
def test_what_names_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadUri):
        parse(text)


def test_a_refusal_doesnt_repeat_a_pin() -> None:
    with pytest.raises(BadUri) as refused:
        parse(f"pkcs11:token=a?{MODULE}&pin-value=1234567")
    assert "1234567" not in str(refused.value)

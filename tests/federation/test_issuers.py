"""Where providers are reached: what the operator may say, and what it means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from freehold.federation.issuers import Addresses, BadIssuer, mapping


def test_a_provider_is_reached_at_its_name_unless_the_operator_says_where() -> None:
    addresses = Addresses((("accounts.google.com", "https://127.0.0.1:9000"),))
    google = addresses.of("accounts.google.com")
    assert (google.url, google.inward) == ("https://127.0.0.1:9000", True)
    assert google.issuers == ("https://127.0.0.1:9000", "https://accounts.google.com", "accounts.google.com")
    other = addresses.of("idp.example.com/tenant")
    assert (other.url, other.inward) == ("https://idp.example.com/tenant", False)
    assert other.issuers == ("https://idp.example.com/tenant",)
    # What a customer registers is never inward, though it be the very address that the operator named.
    assert not addresses.of("127.0.0.1:9000").inward


def test_an_issuer_means_the_providers_that_are_reached_there() -> None:
    addresses = Addresses((("accounts.google.com", "https://127.0.0.1:9000"), ("a.example", "https://127.0.0.1:9000")))
    assert addresses.providers_of("https://127.0.0.1:9000") == ("accounts.google.com", "a.example", "127.0.0.1:9000")
    assert addresses.providers_of("accounts.google.com") == ("accounts.google.com",)
    assert addresses.providers_of("https://idp.example.com/t/") == ("idp.example.com/t/",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accounts.google.com",
        "=https://127.0.0.1",
        "accounts.google.com=",
        "accounts.google.com=http://127.0.0.1",
        "accounts.google.com=https://user@127.0.0.1",
        "accounts.google.com=https://127.0.0.1?q",
        "accounts.google.com=https://127.0.0.1:port",
        "accounts.google.com=https://127.0.0.1:99999",
        "https://accounts.google.com=https://127.0.0.1",
        "Accounts.Google.Com=https://127.0.0.1",
        "a b=https://127.0.0.1",
    ],
)
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadIssuer):
        mapping(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--issuer=accounts.google.com",), "NAME=URL"),
        (("--issuer=accounts.google.com=http://x",), "https://HOST"),
        (("--issuer=a.example=https://x", "--issuer=a.example=https://y"), "once"),
        (("--issuer-ca=/not/there.pem",), "there is no file"),
    ],
)
def test_a_server_does_not_start_with_a_provider_that_is_none(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    command = (sys.executable, "-m", "freehold", "serve", f"--data={tmp_path}", *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr

"""Of every sealed format: all of it is authenticated, each message has its own key, and one key alone opens it.

docs/formats/README.md says so in a table; what stands there is what is tested here.
"""

from __future__ import annotations

import binascii
import re
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from sealed_formats import FORMATS, forged

from freehold.audit.checkpoint import NO_CHECKPOINT, DamagedCheckpoints, Signer
from freehold.authentication.credentials import InvalidToken
from freehold.crypto.aead import IntegrityError
from freehold.custody.errors import CustodyError
from freehold.errors import AwsError
from freehold.storage.records import CorruptRecord

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
PAGES = Path(__file__).parents[2] / "docs" / "formats"

BOUND_TWICE = ("a backup of key material", "a segment of the trail")
"""What follows is bound to the whole beginning with its commitment, so that nothing that is put together opens."""

REFUSALS = (IntegrityError, CorruptRecord, InvalidToken, AwsError, CustodyError, InvalidTag, ValueError, binascii.Error)


@pytest.mark.parametrize("name", FORMATS)
def test_every_byte_is_authenticated_and_so_is_the_length(name: str) -> None:
    form = FORMATS[name]
    blob = form.make(KEY)
    assert form.open(KEY, blob) is not None
    for place in range(len(blob)):
        for bit in (0x01, 0x80):
            altered = blob[:place] + bytes((blob[place] ^ bit,)) + blob[place + 1 :]
            with pytest.raises(REFUSALS):
                form.open(KEY, altered)
    for cut in (blob[:-1], blob + b"\0", blob[1:], b""):
        with pytest.raises((*REFUSALS, IndexError)):
            form.open(KEY, cut)


@pytest.mark.parametrize("name", FORMATS)
def test_each_message_has_a_key_of_its_own(name: str) -> None:
    """Derived from what is random in it: no two makers share one. (One maker of sealed values counts nonces.)"""
    form = FORMATS[name]
    keys = {form.derive(KEY, form.make(KEY)).message_key for _ in range(20)}
    assert len(keys) == 20
    assert KEY not in keys


@pytest.mark.parametrize("name", FORMATS)
def test_it_opens_under_one_key_even_where_the_tag_is_right_for_another(name: str) -> None:
    form = FORMATS[name]
    blob = form.make(KEY)
    with pytest.raises(REFUSALS):
        form.open(OTHER, blob)
    # Sealed anew under the other key, with the first one's commitment: neither opens it.
    crafted = forged(form, KEY, OTHER, blob, committed=False)
    for key in (KEY, OTHER):
        with pytest.raises(REFUSALS):
            form.open(key, crafted)
    if name in BOUND_TWICE:
        return
    # With the other's commitment the other opens it: so it was the commitment, and nothing else, that kept it out.
    crafted = forged(form, KEY, OTHER, blob, committed=True)
    assert form.open(OTHER, crafted) is not None
    with pytest.raises(REFUSALS):
        form.open(KEY, crafted)


def test_signed_checkpoints_are_authenticated_to_the_last_byte() -> None:
    signer = Signer(KEY)
    stored = signer.sign(NO_CHECKPOINT)
    assert signer.check(stored) == NO_CHECKPOINT
    for place in range(len(stored)):
        with pytest.raises(DamagedCheckpoints):
            signer.check(stored[:place] + bytes((stored[place] ^ 1,)) + stored[place + 1 :])
    with pytest.raises(DamagedCheckpoints):
        Signer(OTHER).check(stored)


def table() -> dict[str, list[str]]:
    """The rows of the page's table, by the page that each links to."""
    rows = {}
    for line in (PAGES / "README.md").read_text().splitlines():
        found = re.match(r"\| \[[^]]+\]\(([\w-]+\.md)\) \|(.*)\|$", line)
        if found:
            rows[found[1]] = [cell.strip() for cell in found[2].split("|")]
    return rows


def test_the_table_has_every_page_and_says_which_are_sealed() -> None:
    rows = table()
    assert set(rows) == {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    sealed = {form.page for form in FORMATS.values()}
    for page, (_, version, header, key, commitment) in rows.items():
        assert version
        assert header
        assert ("yes" in commitment) == (page in sealed), page
        if page in sealed:
            assert key.startswith(("a message", "a salt", "a segment", "a file", "an object")), page


OF_OTHERS = {"federation/saml_encryption.py"}
"""It opens what identity providers encrypted, in XML Encryption's formats."""


def test_nothing_is_encrypted_but_by_a_format_that_has_a_page() -> None:
    """Where the program calls a cipher: a new place needs a format, a page and a row above."""
    package = PAGES.parents[1] / "freehold"
    ciphers = re.compile(r"\b(AESGCM|AESGCMSIV|ChaCha20Poly1305|Fernet|Cobblestone256Encryptor|algorithms\.AES)\b")
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if ciphers.search(path.read_text())}
    assert found - OF_OTHERS == {
        "audit/segment.py",
        "crypto/aead.py",
        "crypto/archive.py",
        "crypto/envelope.py",
        "crypto/proxy_message.py",
        "crypto/store_envelope.py",
        "crypto/stream.py",
    }


def test_every_sealing_key_is_on_a_page() -> None:
    package = PAGES.parents[1] / "freehold"
    purposes = {
        purpose
        for path in package.rglob("*.py")
        for purpose in re.findall(r"sealing_key\(\"([^\"]+)\"\)", path.read_text())
    }
    assert len(purposes) > 8
    pages = " ".join(path.read_text() for path in PAGES.glob("*.md"))
    assert not [purpose for purpose in purposes if f"`{purpose}`" not in pages]

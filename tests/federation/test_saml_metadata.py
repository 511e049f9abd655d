"""Metadata documents: what is read of them, and which are refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from saml_forge import Forge

from freehold.federation import saml_metadata
from freehold.federation.identity import InvalidIdentity


@pytest.fixture(scope="module")
def idp() -> Forge:
    return Forge()


def several(*documents: str, attributes: str = "") -> str:
    inside = "".join(document.partition("?>")[2] for document in documents)
    namespace = "urn:oasis:names:tc:SAML:2.0:metadata"
    return f'<EntitiesDescriptor xmlns="{namespace}"{attributes}>{inside}</EntitiesDescriptor>'


def test_who_signs_with_what_and_until_when(idp: Forge) -> None:
    found = saml_metadata.parse(idp.metadata(attributes=' validUntil="2099-01-02T03:04:05Z"'))
    assert [one.entity_id for one in found.idps] == [idp.entity_id]
    assert len(found.idps[0].certificates) == 1
    assert found.valid_until == int(datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())
    assert saml_metadata.parse(idp.metadata()).valid_until is None


def test_the_same_certificate_twice_is_one(idp: Forge) -> None:
    text = idp.metadata()
    start, end = text.index("<KeyDescriptor"), text.index("</KeyDescriptor>") + len("</KeyDescriptor>")
    found = saml_metadata.parse(text.replace(text[start:end], text[start:end] * 2))
    assert len(found.idps[0].certificates) == 1


def test_a_key_for_encryption_signs_nothing(idp: Forge) -> None:
    with pytest.raises(InvalidIdentity, match="signing certificate"):
        saml_metadata.parse(idp.metadata().replace('use="signing"', 'use="encryption"'))
    assert saml_metadata.parse(idp.metadata().replace(' use="signing"', "")).idps[0].certificates


def test_a_document_may_describe_several_providers_and_other_parties(idp: Forge) -> None:
    other = Forge("https://other.example.com")
    party = '?><EntityDescriptor entityID="https://sp.example.com"><SPSSODescriptor/></EntityDescriptor>'
    text = several(idp.metadata(), other.metadata(), party, attributes=' validUntil="2098-01-01T00:00:00Z"')
    found = saml_metadata.parse(text)
    assert [one.entity_id for one in found.idps] == [idp.entity_id, other.entity_id]
    assert found.valid_until is not None


REFUSED = {
    "no XML": ("hello", "well-formed"),
    "another document": ('<a xmlns="urn:x"/>', "no SAML metadata"),
    "a document type": ("<!DOCTYPE a []><a/>", "no document type"),
    "an entity": ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "no document type"),
    "a service provider": (
        '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"></EntityDescriptor>',
        "no identity provider",
    ),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_providers_metadata_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidIdentity, match=reason):
        saml_metadata.parse(text)


CHANGED = {
    "no entity id": (' entityID="https://idp.example.com/saml"', "", "entityID"),
    "a certificate that is none": ("<X509Certificate>", "<X509Certificate>AAAA", "cannot be read"),
    "a certificate that is no base64": ("<X509Certificate>", "<X509Certificate>%%%%", "cannot be read"),
    "a date that is none": ("<IDPSSODescriptor", '<IDPSSODescriptor validUntil="soon"', "validUntil"),
    "broken off": ("</EntityDescriptor>", "", "well-formed"),
    "an older SAML": ("SAML:2.0:protocol", "SAML:1.1:protocol", "SAML 2.0"),
}


@pytest.mark.parametrize(("before", "after", "reason"), CHANGED.values(), ids=CHANGED)
def test_broken_metadata_is_refused(before: str, after: str, reason: str, idp: Forge) -> None:
    text = idp.metadata()
    assert before in text
    with pytest.raises(InvalidIdentity, match=reason):
        saml_metadata.parse(text.replace(before, after, 1))


def test_keys_have_a_least_size(idp: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys as weak as AWS refuses can't be made here any more: 2,048 bits are called too few instead."""
    monkeypatch.setattr(saml_metadata, "_LEAST_RSA_BITS", 2049)
    with pytest.raises(InvalidIdentity, match="2049 bits"):
        saml_metadata.parse(idp.metadata())
    assert saml_metadata.parse(Forge(curve=True).metadata()).idps


def test_more_than_ten_providers_or_an_entity_twice_are_refused(idp: Forge) -> None:
    with pytest.raises(InvalidIdentity, match="twice"):
        saml_metadata.parse(several(idp.metadata(), idp.metadata()))
    text = idp.metadata()
    many = [text.replace(idp.entity_id, f"https://{number}.example.com") for number in range(11)]
    with pytest.raises(InvalidIdentity, match="more than 10"):
        saml_metadata.parse(several(*many))
    assert len(saml_metadata.parse(several(*many[:10])).idps) == 10

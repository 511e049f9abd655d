"""What an assertion must say to be accepted, and what is read of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lxml import etree
from saml_forge import ENDPOINT, SAML, SAMLP, Forge, assertion_of, moment, name_id

from freehold.federation import saml, saml_metadata
from freehold.federation.identity import ExpiredIdentity, InvalidIdentity, RejectedByProvider
from freehold.federation.saml import Trusted

PROVIDER_ID = "SAMLSPTESTTESTTESTTESTX"
NOW = float(int(time.time()))


@pytest.fixture(scope="module")
def idp() -> Forge:
    return Forge()


@pytest.fixture(scope="module")
def trusted(idp: Forge) -> Trusted:
    return Trusted(saml_metadata.parse(idp.metadata()).idps, PROVIDER_ID)


ACCEPTED: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "the sign-in page as audience": {"audiences": [ENDPOINT]},
    "an audience with a number behind": {"audiences": [ENDPOINT + "#2"]},
    "two audience restrictions": {"audiences": [ENDPOINT, "urn:amazon:webservices"]},
    "another Region's endpoint": {"recipient": "https://eu-central-1.signin.aws.amazon.com/saml"},
    "the provider's own endpoint": {"recipient": f"{ENDPOINT}/acs/{PROVIDER_ID}"},
    "a Region's endpoint of the provider": {
        "recipient": f"https://us-east-2.signin.aws.amazon.com/saml/acs/{PROVIDER_ID}",
        "audiences": [f"https://us-east-2.signin.aws.amazon.com/saml/acs/{PROVIDER_ID}"],
    },
    "a clock that is a little ahead": {"at": NOW + 50},
    "four minutes old": {"at": NOW - 240},
    "for one use": {"conditions": "<saml:OneTimeUse/>"},
    "not to be passed on": {"conditions": '<saml:ProxyRestriction Count="0"/>'},
    "a session that lasts": {"session_end": moment(NOW + 60)},
    "no destination": {"destination": ""},
}


@pytest.mark.parametrize("said", ACCEPTED.values(), ids=ACCEPTED)
def test_an_assertion_for_us_and_now_is_accepted(said: dict[str, Any], idp: Forge, trusted: Trusted) -> None:
    assert saml.verify(idp.says(**{"at": NOW, **said}), trusted, NOW).subject == "alice"


OTHER_AUDIENCE = "Response does not contain the required audience."
NO_ENDPOINT = "not an AWS sign-in endpoint"
REFUSED: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "six minutes old": (ExpiredIdentity, "within 5 minutes", {"at": NOW - 360}),
    "five minutes old": (ExpiredIdentity, "within 5 minutes", {"at": NOW - 300}),
    "a clock far ahead": (InvalidIdentity, "not yet valid", {"at": NOW + 90}),
    "conditions that ended": (ExpiredIdentity, "expired", {"not_after": moment(NOW)}),
    "conditions that begin later": (InvalidIdentity, "not yet valid", {"not_before": moment(NOW + 90)}),
    "a confirmation that ended": (ExpiredIdentity, "expired", {"confirmed_until": moment(NOW - 1)}),
    "a session that ended": (ExpiredIdentity, "session", {"session_end": moment(NOW - 1)}),
    "no time at all": (InvalidIdentity, "IssueInstant", {"issued": "now"}),
    "a date for a time": (InvalidIdentity, "NotOnOrAfter", {"not_after": "2099-01-01"}),
    "another audience": (InvalidIdentity, OTHER_AUDIENCE, {"audiences": ["https://other.example.com"]}),
    "an audience too many": (InvalidIdentity, OTHER_AUDIENCE, {"audiences": [ENDPOINT, "https://other.example.com"]}),
    "no audience": (InvalidIdentity, OTHER_AUDIENCE, {"audiences": []}),
    "an audience that begins like ours": (InvalidIdentity, OTHER_AUDIENCE, {"audiences": [ENDPOINT + ".evil.example"]}),
    "another provider's audience": (InvalidIdentity, OTHER_AUDIENCE, {"audiences": [f"{ENDPOINT}/acs/SAMLSPOTHER"]}),
    "another recipient": (InvalidIdentity, NO_ENDPOINT, {"recipient": "https://sp.example.com/acs"}),
    "a recipient without TLS": (InvalidIdentity, NO_ENDPOINT, {"recipient": "http://signin.aws.amazon.com/saml"}),
    "a recipient with a port": (InvalidIdentity, NO_ENDPOINT, {"recipient": "https://signin.aws.amazon.com:1/saml"}),
    "another provider's endpoint": (InvalidIdentity, NO_ENDPOINT, {"recipient": f"{ENDPOINT}/acs/SAMLSPOTHER"}),
    "another destination": (InvalidIdentity, NO_ENDPOINT, {"destination": "https://sp.example.com/acs"}),
    "a condition of its own": (
        InvalidIdentity,
        "not understood",
        {"conditions": '<x:OnlyOnMondays xmlns:x="urn:example"/>'},
    ),
    "holder of key": (InvalidIdentity, "bearer", {"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}),
    "an empty name": (InvalidIdentity, "NameID", {"subject": " "}),
    "a name of 2,000 characters": (InvalidIdentity, "NameID", {"subject": "a" * 2000}),
    "another issuer": (InvalidIdentity, "Issuer not present", {"issuer": "https://other.example.com"}),
    "an issuer in other letters": (InvalidIdentity, "Issuer not present", {"issuer": "https://IDP.example.com/saml"}),
    "a refused sign-in": (
        RejectedByProvider,
        "authentication failed",
        {"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"},
    ),
}


@pytest.mark.parametrize(("error", "text", "said"), REFUSED.values(), ids=REFUSED)
def test_an_assertion_for_others_or_another_time_is_refused(
    error: type[Exception], text: str, said: dict[str, Any], idp: Forge, trusted: Trusted
) -> None:
    with pytest.raises(error, match=text):
        saml.verify(idp.says(**{"at": NOW, **said}), trusted, NOW)


def without(idp: Forge, path: str) -> str:
    """A rightly signed response whose assertion lacks something."""
    root = idp.unsigned(at=NOW)
    assertion = assertion_of(root)
    found = assertion.find(path.replace("saml:", f"{{{SAML}}}"))
    assert found is not None
    parent = found.getparent()
    assert parent is not None
    parent.remove(found)
    idp.sign(assertion)
    return idp.encoded(root)


NEEDED = [
    "saml:Issuer",
    "saml:Subject",
    "saml:Subject/saml:NameID",
    "saml:Subject/saml:SubjectConfirmation",
    "saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData",
    "saml:Conditions",
    "saml:AuthnStatement",
]


@pytest.mark.parametrize("path", NEEDED)
def test_an_assertion_without_a_needed_part_is_refused(path: str, idp: Forge, trusted: Trusted) -> None:
    with pytest.raises(InvalidIdentity):
        saml.verify(without(idp, path), trusted, NOW)


@pytest.mark.parametrize(
    "path", ["saml:Subject/saml:NameID", "saml:Subject/saml:SubjectConfirmation", "saml:Conditions"]
)
def test_a_part_that_is_there_twice_is_refused(path: str, idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned(at=NOW)
    found = assertion_of(root).find(path.replace("saml:", f"{{{SAML}}}"))
    assert found is not None
    found.addnext(etree.fromstring(etree.tostring(found)))
    idp.sign(assertion_of(root))
    with pytest.raises(InvalidIdentity, match="exactly one"):
        saml.verify(idp.encoded(root), trusted, NOW)


@pytest.mark.parametrize("attribute", ["Recipient", "NotOnOrAfter"])
def test_the_confirmation_says_for_whom_and_until_when(attribute: str, idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned(at=NOW)
    data = root.find(f".//{{{SAML}}}SubjectConfirmationData")
    assert data is not None
    del data.attrib[attribute]
    idp.sign(assertion_of(root))
    with pytest.raises(InvalidIdentity):
        saml.verify(idp.encoded(root), trusted, NOW)


def test_the_responses_issuer_must_be_the_assertions(idp: Forge, trusted: Trusted) -> None:
    root = idp.response(at=NOW)
    issuer = root.find(f"{{{SAML}}}Issuer")
    assert issuer is not None
    issuer.text = "https://other.example.com"
    with pytest.raises(InvalidIdentity, match="Issuer not present"):
        saml.verify(idp.encoded(root), trusted, NOW)
    root.remove(issuer)
    assert saml.verify(idp.encoded(root), trusted, NOW).issuer == idp.entity_id


def test_a_signature_over_the_whole_response_is_enough(idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned(at=NOW)
    idp.sign(root)
    assert saml.verify(idp.encoded(root), trusted, NOW).subject == "alice"
    both = idp.response(at=NOW)
    idp.sign(both)
    assert saml.verify(idp.encoded(both), trusted, NOW).subject == "alice"


def test_elliptic_curve_signatures_are_verified() -> None:
    idp = Forge(curve=True)
    trusted = Trusted(saml_metadata.parse(idp.metadata()).idps, PROVIDER_ID)
    assert saml.verify(idp.says(at=NOW), trusted, NOW).subject == "alice"


def test_any_key_of_the_metadata_may_sign(idp: Forge, trusted: Trusted) -> None:
    """Providers publish the next key beside the present one."""
    following = Forge(idp.entity_id)
    both = (saml_metadata.parse(following.metadata()).idps[0].certificates[0], *trusted.idps[0].certificates)
    rotating = Trusted((saml_metadata.Idp(idp.entity_id, both),), PROVIDER_ID)
    for signer in (idp, following):
        assert saml.verify(signer.says(at=NOW), rotating, NOW).subject == "alice"


def test_a_key_counts_for_its_own_issuer_only() -> None:
    """Metadata of several providers: none of them speaks for another."""
    ours, theirs = Forge("https://ours.example.com"), Forge("https://theirs.example.com")
    idps = (*saml_metadata.parse(ours.metadata()).idps, *saml_metadata.parse(theirs.metadata()).idps)
    trusted = Trusted(idps, PROVIDER_ID)
    assert saml.verify(theirs.says(at=NOW), trusted, NOW).issuer == theirs.entity_id
    with pytest.raises(InvalidIdentity, match="signature"):
        saml.verify(theirs.says(at=NOW, issuer=ours.entity_id), trusted, NOW)


def test_what_is_read_of_an_assertion(idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned(at=NOW, attributes={"a": ["1", "2"], "b": [" text "]}, session_end=moment(NOW + 1000))
    second = etree.fromstring(
        f'<saml:AttributeStatement xmlns:saml="{SAML}"><saml:Attribute Name="a"><saml:AttributeValue><saml:NameID>3'
        f"</saml:NameID></saml:AttributeValue></saml:Attribute></saml:AttributeStatement>"
    )
    assertion_of(root).append(second)
    idp.sign(assertion_of(root))
    found = saml.verify(idp.encoded(root), trusted, NOW)
    assert found.attributes == {"a": ("1", "2", "3"), "b": ("text",)}
    assert found.assertion_id == assertion_of(root).get("ID")
    assert (found.recipient, found.session_not_after) == (ENDPOINT, NOW + 1000)
    assert found.subject_format.endswith(":persistent")
    assert "alice" not in repr(found)


def test_an_encrypted_attribute_or_name_is_refused(idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned(at=NOW, attributes={"a": ["1"]})
    statement = root.find(f".//{{{SAML}}}AttributeStatement")
    assert statement is not None
    etree.SubElement(statement, f"{{{SAML}}}EncryptedAttribute")
    idp.sign(assertion_of(root))
    with pytest.raises(InvalidIdentity, match="Encrypted attributes"):
        saml.verify(idp.encoded(root), trusted, NOW)
    root = idp.unsigned(at=NOW)
    name_id(root).tag = f"{{{SAML}}}EncryptedID"
    idp.sign(assertion_of(root))
    with pytest.raises(InvalidIdentity, match="NameID"):
        saml.verify(idp.encoded(root), trusted, NOW)


def test_a_refused_sign_in_without_an_assertion_is_the_providers_refusal(idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned(at=NOW, status="urn:oasis:names:tc:SAML:2.0:status:Requester")
    root.remove(assertion_of(root))
    with pytest.raises(RejectedByProvider):
        saml.verify(idp.encoded(root), trusted, NOW)


def test_another_version_of_saml_is_refused(idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned(at=NOW)
    assertion_of(root).set("Version", "1.1")
    idp.sign(assertion_of(root))
    with pytest.raises(InvalidIdentity):
        saml.verify(idp.encoded(root), trusted, NOW)
    root = idp.response(at=NOW)
    root.set("Version", "1.1")
    with pytest.raises(InvalidIdentity):
        saml.verify(idp.encoded(root), trusted, NOW)
    root.set("Version", "2.0")
    root.tag = f"{{{SAMLP}}}ArtifactResponse"
    with pytest.raises(InvalidIdentity):
        saml.verify(idp.encoded(root), trusted, NOW)

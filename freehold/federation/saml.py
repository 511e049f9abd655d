"""SAML 2.0 responses, verified: what an identity provider says of a person, to us, now.

Nothing is read but what a verified signature covers: the assertion that is handed on was made anew from signed bytes.
What lies outside of it (the response's status, issuer and destination) can only lead to a refusal. A response has
exactly one assertion, and no id twice, so that no two readers can take different ones.

An assertion is good for five minutes after it was made, as on AWS, and within that time for more than one role:
clients rely on that, so replays are refused only where the provider says OneTimeUse (who keeps that is STS).
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from freehold.federation import saml_encryption
from freehold.federation.identity import ExpiredIdentity, InvalidIdentity, RejectedByProvider
from freehold.federation.saml_metadata import Idp
from freehold.federation.saml_signatures import SIGNATURE_INVALID, refuse_misplaced, verified
from freehold.federation.saml_xml import (
    children,
    ds,
    instant,
    only,
    parse_response,
    refuse_deep,
    saml,
    samlp,
    text,
)

if TYPE_CHECKING:
    from lxml.etree import _Element

REDEEM_SECONDS: Final = 300
CLOCK_SKEW_SECONDS: Final = 60
"""How far a provider's clock may be ahead. What runs out, runs out without it."""

_SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_ENTITY: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
_ENDPOINT: Final = (
    r"https://(?:[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}\.)?signin\.aws\.amazon\.com/saml(?:/acs/([A-Z0-9]{1,64}))?"
)
_RECIPIENT: Final = re.compile(_ENDPOINT, re.ASCII)
_AUDIENCE: Final = re.compile(_ENDPOINT + r"(?:#[0-9]{1,6})?", re.ASCII)
"""Microsoft Entra tells several applications for AWS apart by `#2`, `#3` … behind the audience."""
_SERVICE: Final = "urn:amazon:webservices"
_MOST_SUBJECT: Final = 1024
_MOST_ATTRIBUTES: Final = 500
_IDS: Final = frozenset(("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id"))


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whose responses are accepted: a provider's record."""

    idps: tuple[Idp, ...]
    provider_id: str
    """What a sign-in URL of its own ends with (`…/saml/acs/ID`)."""
    private_keys: tuple[str, ...] = field(default=(), repr=False)
    """PEM, for encrypted assertions."""
    encryption_required: bool = False


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified assertion. Times are seconds since the epoch."""

    assertion_id: str
    issuer: str
    subject: str = field(repr=False)
    subject_format: str
    """The NameID's Format, empty without one."""
    recipient: str
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    """Values by the attribute's Name, in order."""
    session_not_after: int | None
    one_time: bool
    useless_from: int
    """From when on the assertion is refused as too old, whatever it says."""


def verify(encoded: str, trusted: Trusted, now_seconds: float) -> Assertion:
    """The assertion in a base64-encoded response. Raises InvalidIdentity, ExpiredIdentity or RejectedByProvider."""
    document = _decoded(encoded)
    response = parse_response(document)
    refuse_deep(response)
    _refuse_doubled_ids(response)
    if response.tag != samlp("Response") or response.get("Version") != "2.0":
        raise InvalidIdentity("This is no SAML 2.0 response.")
    plain, encrypted = list(response.iter(saml("Assertion"))), list(response.iter(saml("EncryptedAssertion")))
    if len(plain) + len(encrypted) != 1 or (plain or encrypted)[0].getparent() is not response:
        _refuse_failure(response)
        raise InvalidIdentity("The SAML response must have exactly one assertion.")
    refuse_misplaced(response, [response, *plain])
    issuer = _issuer(plain[0] if plain else response)
    idp = next((idp for idp in trusted.idps if idp.entity_id == issuer), None)
    if idp is None:
        raise InvalidIdentity("Issuer not present in specified provider")
    signed_response = None
    if children(response, ds("Signature")):
        signed_response = verified(document, response, response, idp.certificates, now_seconds)
    _refuse_failure(response)
    if encrypted:
        assertion = _opened(encrypted[0], signed_response, trusted, idp, now_seconds)
    elif trusted.encryption_required:
        raise InvalidIdentity("The SAML provider requires encrypted assertions.")
    elif children(plain[0], ds("Signature")):
        assertion = verified(document, response, plain[0], idp.certificates, now_seconds)
    elif signed_response is not None:
        assertion = only(signed_response, saml("Assertion"), "assertion")
    else:
        raise InvalidIdentity(SIGNATURE_INVALID)
    for element in children(response, saml("Issuer")):
        if text(element) != idp.entity_id:
            raise InvalidIdentity("Issuer not present in specified provider")
    destination = response.get("Destination")
    if destination:
        _accept_endpoint(destination, trusted)
    return _read(assertion, trusted, idp, now_seconds)


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidIdentity("The SAML response is not base64-encoded.") from None


def _refuse_doubled_ids(root: _Element) -> None:
    seen: set[str] = set()
    for element in root.iter():
        for name in _IDS.intersection(element.attrib):
            value = str(element.attrib[name])
            if not value or value in seen:
                raise InvalidIdentity("The SAML response has an id that is empty or there twice.")
            seen.add(value)


def _refuse_failure(response: _Element) -> None:
    """Whether the provider answered at all. Unsigned as it may be, this can only refuse."""
    status = only(response, samlp("Status"), "status")
    if only(status, samlp("StatusCode"), "status code").get("Value") != _SUCCESS:
        raise RejectedByProvider("The identity provider reported that authentication failed.")


def _issuer(element: _Element) -> str:
    issuer = only(element, saml("Issuer"), "issuer")
    if issuer.get("Format", _ENTITY) != _ENTITY:
        raise InvalidIdentity("Issuer not present in specified provider")
    return text(issuer)


def _opened(
    encrypted: _Element, signed_response: _Element | None, trusted: Trusted, idp: Idp, now_seconds: float
) -> _Element:
    """A decrypted assertion, signed inside, or by the response around it."""
    if not trusted.private_keys:
        raise InvalidIdentity("The SAML assertion is encrypted, and the provider has no private key.")
    if signed_response is not None:
        encrypted = only(signed_response, saml("EncryptedAssertion"), "assertion")
    document = saml_encryption.opened(encrypted, trusted.private_keys, authenticated=signed_response is not None)
    assertion = parse_response(document)
    refuse_deep(assertion)
    _refuse_doubled_ids(assertion)
    nested = [*assertion.iter(saml("Assertion")), *assertion.iter(saml("EncryptedAssertion"))]
    if assertion.tag != saml("Assertion") or len(nested) != 1:
        raise InvalidIdentity("The SAML response must have exactly one assertion.")
    refuse_misplaced(assertion, [assertion])
    if children(assertion, ds("Signature")):
        return verified(document, assertion, assertion, idp.certificates, now_seconds)
    if signed_response is None:
        raise InvalidIdentity(SIGNATURE_INVALID)
    return assertion


# What the signed assertion says


def _read(assertion: _Element, trusted: Trusted, idp: Idp, now_seconds: float) -> Assertion:
    if assertion.get("Version") != "2.0" or _issuer(assertion) != idp.entity_id:
        raise InvalidIdentity("Issuer not present in specified provider")
    issued = instant(assertion.get("IssueInstant"), "IssueInstant")
    if issued > now_seconds + CLOCK_SKEW_SECONDS:
        raise InvalidIdentity("The SAML assertion is not yet valid.")
    if issued + REDEEM_SECONDS <= now_seconds:
        raise ExpiredIdentity("Token must be redeemed within 5 minutes of issuance")
    subject, subject_format, recipient, confirmed_until = _subject(assertion, trusted, now_seconds)
    one_time = _conditions(assertion, trusted, now_seconds)
    return Assertion(
        assertion_id=assertion.get("ID", ""),
        issuer=idp.entity_id,
        subject=subject,
        subject_format=subject_format,
        recipient=recipient,
        attributes=_attributes(assertion),
        session_not_after=_session_end(assertion, now_seconds),
        one_time=one_time,
        useless_from=int(min(issued + REDEEM_SECONDS, confirmed_until)) + 1,
    )


def _subject(assertion: _Element, trusted: Trusted, now_seconds: float) -> tuple[str, str, str, float]:
    """The NameID with its format, and the bearer confirmation's recipient and end."""
    subject = only(assertion, saml("Subject"), "subject")
    name = only(subject, saml("NameID"), "NameID")
    value = text(name)
    if not 1 <= len(value) <= _MOST_SUBJECT:
        raise InvalidIdentity(f"The NameID of the SAML assertion must have 1 to {_MOST_SUBJECT} characters.")
    confirmation = only(subject, saml("SubjectConfirmation"), "SubjectConfirmation")
    if confirmation.get("Method") != _BEARER:
        raise InvalidIdentity("The subject of the SAML assertion must be confirmed by the bearer method.")
    data = only(confirmation, saml("SubjectConfirmationData"), "SubjectConfirmationData")
    recipient = data.get("Recipient", "")
    _accept_endpoint(recipient, trusted)
    end = _within(data, now_seconds)
    if end is None:
        raise InvalidIdentity("SubjectConfirmationData must have NotOnOrAfter.")
    return value, name.get("Format", ""), recipient, end


def _accept_endpoint(recipient: str, trusted: Trusted) -> None:
    """A sign-in URL of AWS, of any Region; with an id, this provider's; where encryption is required, with the id."""
    found = _RECIPIENT.fullmatch(recipient)
    if found is None or found[1] not in (None, trusted.provider_id) or (trusted.encryption_required and not found[1]):
        raise InvalidIdentity("The recipient of the SAML assertion is not an AWS sign-in endpoint of this provider.")


def _within(element: _Element, now_seconds: float) -> float | None:
    """Refuse before NotBefore and from NotOnOrAfter on; the end, if there is one."""
    start, end = element.get("NotBefore"), element.get("NotOnOrAfter")
    if start is not None and instant(start, "NotBefore") > now_seconds + CLOCK_SKEW_SECONDS:
        raise InvalidIdentity("The SAML assertion is not yet valid.")
    if end is None:
        return None
    ends = instant(end, "NotOnOrAfter")
    if ends <= now_seconds:
        raise ExpiredIdentity("The SAML assertion has expired.")
    return ends


def _conditions(assertion: _Element, trusted: Trusted, now_seconds: float) -> bool:
    """Whether the assertion may be used but once. An audience is required; conditions that are unknown refuse."""
    conditions = only(assertion, saml("Conditions"), "Conditions")
    _within(conditions, now_seconds)
    known = {saml("AudienceRestriction"), saml("OneTimeUse"), saml("ProxyRestriction")}
    if any(condition.tag not in known for condition in conditions):
        raise InvalidIdentity("The SAML assertion has a condition that is not understood.")
    restrictions = children(conditions, saml("AudienceRestriction"))
    for restriction in restrictions:
        audiences = [text(audience) for audience in children(restriction, saml("Audience"))]
        if not any(_is_us(audience, trusted) for audience in audiences):
            raise InvalidIdentity("Response does not contain the required audience.")
    if not restrictions:
        raise InvalidIdentity("Response does not contain the required audience.")
    return bool(children(conditions, saml("OneTimeUse")))


def _is_us(audience: str, trusted: Trusted) -> bool:
    found = _AUDIENCE.fullmatch(audience)
    return audience == _SERVICE or (found is not None and found[1] in (None, trusted.provider_id))


def _session_end(assertion: _Element, now_seconds: float) -> int | None:
    """The earliest SessionNotOnOrAfter. Who authenticated nobody makes no session."""
    statements = children(assertion, saml("AuthnStatement"))
    if not statements:
        raise InvalidIdentity("The SAML assertion must have an AuthnStatement.")
    said = [statement.get("SessionNotOnOrAfter") for statement in statements]
    ends = [instant(value, "SessionNotOnOrAfter") for value in said if value is not None]
    if not ends:
        return None
    if min(ends) <= now_seconds:
        raise ExpiredIdentity("The session at the identity provider has expired.")
    return int(min(ends))


def _attributes(assertion: _Element) -> dict[str, tuple[str, ...]]:
    """All attributes' values by name; those of one that is there twice are put together."""
    found: dict[str, tuple[str, ...]] = {}
    for statement in children(assertion, saml("AttributeStatement")):
        if children(statement, saml("EncryptedAttribute")):
            raise InvalidIdentity("Encrypted attributes are not accepted.")
        for attribute in children(statement, saml("Attribute")):
            name = attribute.get("Name", "")
            values = (
                "".join(map(str, value.itertext())).strip() for value in children(attribute, saml("AttributeValue"))
            )
            found[name] = (*found.get(name, ()), *values)
    if len(found) > _MOST_ATTRIBUTES:
        raise InvalidIdentity(f"A SAML assertion has at most {_MOST_ATTRIBUTES} attributes.")
    return found

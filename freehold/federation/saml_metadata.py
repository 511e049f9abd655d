"""An identity provider's SAML metadata: who it is, which keys it signs with, and until when the document holds.

Read once, when it is uploaded; a signature on the metadata itself is not looked at, since whoever may upload it is
trusted with it. A certificate is here a container for a key, but one that has run out is not used
(`saml_signatures.py`).
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from freehold.federation.identity import InvalidIdentity
from freehold.federation.saml_xml import PROTOCOL, children, descendants, ds, instant, md, parse_metadata, text

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_PROVIDERS: Final = 10
"""Identity providers in one document."""
MOST_KEYS: Final = 10
_LEAST_RSA_BITS: Final = 1024
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml.html#troubleshoot_saml_issuer-metadata"""


@dataclass(frozen=True, slots=True)
class Idp:
    """One identity provider: its entity id, and the certificates (DER) that it signs with."""

    entity_id: str
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    idps: tuple[Idp, ...]
    valid_until: int | None
    """Seconds since the epoch; None where the document doesn't say."""


def parse(document: str) -> Metadata:
    """What a metadata document says. Raises InvalidIdentity."""
    root = parse_metadata(document.encode("utf-8", "surrogatepass"))
    if root.tag not in (md("EntityDescriptor"), md("EntitiesDescriptor")):
        raise InvalidIdentity("The document is no SAML metadata.")
    idps: dict[str, Idp] = {}
    limits = [_valid_until(root)]
    for entity in descendants(root, md("EntityDescriptor")):
        descriptors = children(entity, md("IDPSSODescriptor"))
        if not descriptors:
            continue
        idp = _idp(entity, descriptors)
        if idp.entity_id in idps:
            raise InvalidIdentity("An entity id is there twice.")
        idps[idp.entity_id] = idp
        limits += [_valid_until(element) for element in (entity, *descriptors)]
    if not idps:
        raise InvalidIdentity("The metadata describes no identity provider (IDPSSODescriptor).")
    keys = sum(len(idp.certificates) for idp in idps.values())
    if len(idps) > MOST_PROVIDERS or keys > MOST_KEYS:
        raise InvalidIdentity(f"The metadata has more than {MOST_PROVIDERS} identity providers or {MOST_KEYS} keys.")
    said = [limit for limit in limits if limit is not None]
    return Metadata(tuple(idps.values()), int(min(said)) if said else None)


def _valid_until(element: _Element) -> float | None:
    value = element.get("validUntil")
    return None if value is None else instant(value, "validUntil")


def _idp(entity: _Element, descriptors: list[_Element]) -> Idp:
    entity_id = entity.get("entityID", "").strip()
    if not 1 <= len(entity_id) <= 1024:
        raise InvalidIdentity("An identity provider has an entityID of 1 to 1,024 characters.")
    certificates: dict[bytes, None] = {}
    for descriptor in descriptors:
        if PROTOCOL not in descriptor.get("protocolSupportEnumeration", "").split():
            raise InvalidIdentity("The identity provider does not speak SAML 2.0.")
        for key in children(descriptor, md("KeyDescriptor")):
            if key.get("use", "signing") == "signing":
                certificates.update(dict.fromkeys(map(_certificate, descendants(key, ds("X509Certificate")))))
    if not certificates:
        raise InvalidIdentity("The identity provider has no signing certificate.")
    return Idp(entity_id, tuple(certificates))


def _certificate(element: _Element) -> bytes:
    """One certificate, as DER. Raises InvalidIdentity for a key that no signature could be verified with."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        der = base64.b64decode("".join(text(element).split()), validate=True)
        key = x509.load_der_x509_certificate(der).public_key()
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise InvalidIdentity("A signing certificate cannot be read.") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise InvalidIdentity(f"RSA keys have at least {_LEAST_RSA_BITS} bits.")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidIdentity("Signing keys are RSA or elliptic curve keys.")
    return der

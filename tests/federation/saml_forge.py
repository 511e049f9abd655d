"""A SAML identity provider of the tests' own, in a few lines of lxml and signxml: it can also say what none would.

idp = Forge()
idp.encoded(idp.response(subject="alice"))          # rightly signed
idp.encoded(root)                                   # any tree
"""

from __future__ import annotations

import base64
import copy
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, XMLSigner

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
ENDPOINT = "https://signin.aws.amazon.com/saml"
ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"

_RESPONSE = """<samlp:Response xmlns:samlp="{samlp}" xmlns:saml="{saml}" ID="{response_id}" Version="2.0"
 IssueInstant="{issued}" Destination="{destination}"><saml:Issuer>{issuer}</saml:Issuer><samlp:Status><samlp:StatusCode
 Value="{status}"/></samlp:Status><saml:Assertion ID="{assertion_id}" Version="2.0" IssueInstant="{issued}"><saml:Issuer
>{issuer}</saml:Issuer><saml:Subject><saml:NameID Format="{format}">{subject}</saml:NameID><saml:SubjectConfirmation
 Method="{method}"><saml:SubjectConfirmationData NotOnOrAfter="{confirmed_until}" Recipient="{recipient}"/></saml:\
SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{not_before}" NotOnOrAfter="{not_after}">{audiences}\
{conditions}</saml:Conditions><saml:AuthnStatement AuthnInstant="{issued}"{session_end}><saml:AuthnContext><saml:\
AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>\
</saml:AuthnStatement>{attributes}</saml:Assertion></samlp:Response>"""


class Forge:
    """One provider: its key, its certificate, and what it says."""

    def __init__(self, entity_id: str = "https://idp.example.com/saml", *, curve: bool = False, days: int = 30) -> None:
        self.entity_id = entity_id
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if curve
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "identity provider")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .sign(self.key, hashes.SHA256())
        )

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def metadata(self, *, more: str = "", protocols: str = SAMLP, attributes: str = "") -> str:
        der = base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" '
            f'entityID="{self.entity_id}"{attributes}><!-- by the tests --><IDPSSODescriptor '
            f'protocolSupportEnumeration="{protocols}"><KeyDescriptor use="signing"><KeyInfo xmlns="{DS}"><X509Data>'
            f"<X509Certificate>{der}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>{more}<SingleSignOnService "
            f'Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{self.entity_id}/sso"/>'
            f"</IDPSSODescriptor></EntityDescriptor>"
        )

    def unsigned(self, *, at: float | None = None, **said: Any) -> etree._Element:
        """A response's tree. `said`: parts of the template; `attributes` a dict; `audiences` a list."""
        now = time.time() if at is None else at
        said.setdefault("issuer", self.entity_id)
        attributes = said.pop("attributes", {})
        audiences = said.pop("audiences", ["urn:amazon:webservices"])
        session_end = said.pop("session_end", None)
        recipient = said.pop("recipient", ENDPOINT)
        values = {
            "samlp": SAMLP,
            "saml": SAML,
            "response_id": "_" + secrets.token_hex(16),
            "assertion_id": "_" + secrets.token_hex(16),
            "issued": moment(now),
            "destination": recipient,
            "recipient": recipient,
            "status": "urn:oasis:names:tc:SAML:2.0:status:Success",
            "format": PERSISTENT,
            "subject": "alice",
            "method": "urn:oasis:names:tc:SAML:2.0:cm:bearer",
            "confirmed_until": moment(now + 300),
            "not_before": moment(now - 30),
            "not_after": moment(now + 300),
            "conditions": "",
            "session_end": f' SessionNotOnOrAfter="{session_end}"' if session_end else "",
            "audiences": "".join(
                f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
                for audience in audiences
            ),
            "attributes": _statement(attributes),
        }
        return etree.fromstring(_RESPONSE.format(**(values | said)))

    def response(self, **said: Any) -> etree._Element:
        """A response whose assertion is signed."""
        root = self.unsigned(**said)
        self.sign(assertion_of(root))
        return root

    def sign(self, element: etree._Element, *, by: Forge | None = None, **options: Any) -> None:
        """Sign an element in place, as SAML does: the signature follows the issuer."""
        signer = by or self
        method = SignatureMethod.ECDSA_SHA256 if isinstance(signer.key, ec.EllipticCurvePrivateKey) else None
        parameters = {
            "signature_algorithm": method or SignatureMethod.RSA_SHA256,
            "digest_algorithm": DigestAlgorithm.SHA256,
            "c14n_algorithm": CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        } | options
        placed = copy.deepcopy(element)
        placeholder = etree.SubElement(placed, f"{{{DS}}}Signature", {"Id": "placeholder"}, {"ds": DS})
        placed.insert(1, placeholder)
        signed = _Signer(**parameters).sign(
            placed,
            key=signer.key_pem,
            cert=signer.certificate_pem.decode(),
            reference_uri="#" + element.get("ID", ""),
            id_attribute="ID",
        )
        for child in list(element):
            element.remove(child)
        element.extend(list(signed))

    def encoded(self, root: etree._Element | bytes) -> str:
        document = root if isinstance(root, bytes) else etree.tostring(root)
        return base64.b64encode(document).decode()

    def says(self, **said: Any) -> str:
        """An encoded response with a signed assertion."""
        return self.encoded(self.response(**said))


class _Signer(XMLSigner):
    """Makes SHA-1 signatures too, as signxml does no longer by itself."""

    def check_deprecated_methods(self) -> None:
        return None


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def assertion_of(root: etree._Element) -> etree._Element:
    found = root.find(f"{{{SAML}}}Assertion")
    assert found is not None
    return found


def signature_of(element: etree._Element) -> etree._Element:
    found = element.find(f"{{{DS}}}Signature")
    assert found is not None
    return found


def name_id(root: etree._Element) -> etree._Element:
    found = root.find(f".//{{{SAML}}}NameID")
    assert found is not None
    return found


def role_attributes(role_arn: str, provider_arn: str, session_name: str = "alice", **more: Any) -> dict[str, list[str]]:
    """The attributes that AWS needs, and others of its own by their short names."""
    given = {"Role": [f"{role_arn},{provider_arn}"], "RoleSessionName": [session_name], **more}
    return {ATTRIBUTES + name: values if isinstance(values, list) else [values] for name, values in given.items()}


def _statement(attributes: dict[str, list[str]]) -> str:
    if not attributes:
        return ""
    inside = "".join(
        f'<saml:Attribute Name="{name}">'
        + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
        + "</saml:Attribute>"
        for name, values in attributes.items()
    )
    return f"<saml:AttributeStatement>{inside}</saml:AttributeStatement>"

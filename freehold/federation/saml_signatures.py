"""XML signatures on SAML responses and assertions, verified by signxml; only what they cover is handed on.

A signature stands directly in what it signs, refers to exactly that element by its ID, and is by a key of the
provider's metadata: keys and certificates inside the response are never used. SHA-1, HMAC, DSA and every transform
but SAML's two are refused. The element that comes back was made anew from the signed bytes.
https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf (section 5.4)
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.federation.identity import InvalidIdentity
from freehold.federation.saml_xml import children, ds, only, parse_response, parser

if TYPE_CHECKING:
    from lxml.etree import _Element
    from signxml.verifier import SignatureConfiguration

SIGNATURE_INVALID: Final = "Response signature invalid"
"""AWS's words for every way in which a signature can be wrong: which one it was helps only whoever made it."""

_EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_TRANSFORMS: Final = frozenset(
    ("http://www.w3.org/2000/09/xmldsig#enveloped-signature", _EXCLUSIVE, _EXCLUSIVE + "WithComments")
)
_IN_SIGNATURE: Final = frozenset((ds("SignedInfo"), ds("SignatureValue"), ds("KeyInfo")))
_PREFIX_LISTS: Final = 200
"""Characters in an InclusiveNamespaces PrefixList."""


def refuse_misplaced(root: _Element, signable: list[_Element]) -> None:
    """Refuse signatures anywhere but, once each, directly in `signable`. Raises InvalidIdentity."""
    allowed = [signature for element in signable for signature in children(element, ds("Signature"))]
    if len(list(root.iter(ds("Signature")))) != len(allowed) or len(allowed) > len(signable):
        raise InvalidIdentity(SIGNATURE_INVALID)
    for element in signable:
        if len(children(element, ds("Signature"))) > 1:
            raise InvalidIdentity(SIGNATURE_INVALID)


def verified(
    document: bytes, root: _Element, element: _Element, certificates: tuple[bytes, ...], now_seconds: float
) -> _Element:
    """`element` of `document` as its signature covers it. Raises InvalidIdentity.

    `root` is `document`, parsed; `element` is its root or a child of it. `certificates`: DER, of which one must have
    signed and be within its time.
    """
    from cryptography import x509

    _refuse_unusual(only(element, ds("Signature"), "signature of the element"), element)
    location = "./" if element is root else f"./{element.tag}/"
    configuration = _configuration(location, now_seconds)
    for der in certificates:
        signed = _verified_by(document, x509.load_der_x509_certificate(der), configuration)
        if signed is None:
            continue
        if signed.tag != element.tag or not signed.get("ID") or signed.get("ID") != element.get("ID"):
            break
        return signed
    raise InvalidIdentity(SIGNATURE_INVALID)


def _refuse_unusual(signature: _Element, element: _Element) -> None:
    """What signxml would follow, and SAML does not allow."""
    if any(child.tag not in _IN_SIGNATURE for child in signature):
        raise InvalidIdentity(SIGNATURE_INVALID)
    info = only(signature, ds("SignedInfo"), "SignedInfo")
    reference = only(info, ds("Reference"), "reference of the signature")
    identifier = element.get("ID")
    if not identifier or reference.get("URI") != f"#{identifier}":
        raise InvalidIdentity(SIGNATURE_INVALID)
    transforms = children(only(reference, ds("Transforms"), "list of transforms"), ds("Transform"))
    used = [str(transform.get("Algorithm")) for transform in transforms]
    if not used or len(used) > len(set(used)) or not _TRANSFORMS.issuperset(used):
        raise InvalidIdentity(SIGNATURE_INVALID)
    method = only(info, ds("CanonicalizationMethod"), "canonicalization method")
    if method.get("Algorithm") not in (_EXCLUSIVE, _EXCLUSIVE + "WithComments"):
        raise InvalidIdentity(SIGNATURE_INVALID)
    for listed in info.iter(f"{{{_EXCLUSIVE}}}InclusiveNamespaces"):
        if len(listed.get("PrefixList", "")) > _PREFIX_LISTS:
            raise InvalidIdentity(SIGNATURE_INVALID)


def _configuration(location: str, now_seconds: float) -> SignatureConfiguration:
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.verifier import SignatureConfiguration

    # signxml writes what it canonicalizes to its logger: a person's attributes.
    logging.getLogger("signxml").setLevel(logging.WARNING)
    return SignatureConfiguration(
        require_x509=True,
        location=location,
        expect_references=1,
        signature_methods=frozenset(
            (
                SignatureMethod.RSA_SHA256,
                SignatureMethod.RSA_SHA384,
                SignatureMethod.RSA_SHA512,
                SignatureMethod.ECDSA_SHA256,
                SignatureMethod.ECDSA_SHA384,
                SignatureMethod.ECDSA_SHA512,
            )
        ),
        digest_algorithms=frozenset((DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512)),
        verification_time=datetime.fromtimestamp(now_seconds, UTC),
    )


def _verified_by(document: bytes, certificate: Any, configuration: SignatureConfiguration) -> _Element | None:
    """The signed element when this certificate's key signed it, else None."""
    from signxml.verifier import XMLVerifier

    try:
        result = XMLVerifier().verify(
            document, x509_cert=certificate, expect_config=configuration, id_attribute="ID", parser=parser()
        )
    except Exception:
        # A hostile document makes the library raise many things; none of them is a signature.
        return None
    if isinstance(result, list):
        return None
    # Read anew from the signed bytes, by our own rules: canonical text has neither comments nor declarations.
    return parse_response(result.signed_data)

"""Responses that an attacker made of a genuine one. Each is refused, whatever a lenient reader would take from it.

The wrapping attacks are those of Somorovsky and others, "On Breaking SAML: Be Whoever You Want to Be" (USENIX Security
2012), in the eight forms in which they are tested today. XSW1 and 2 wrap a signed response, the others a signed
assertion. https://www.usenix.org/conference/usenixsecurity12/technical-sessions/presentation/somorovsky
"""

from __future__ import annotations

import base64
import copy
import time
from collections.abc import Callable

import pytest
from lxml import etree
from saml_forge import DS, SAML, SAMLP, Forge, assertion_of, name_id, signature_of
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod

from freehold.federation import saml, saml_metadata
from freehold.federation.identity import FederationRefused, InvalidIdentity
from freehold.federation.saml import Trusted

Tree = etree._Element


@pytest.fixture(scope="module")
def idp() -> Forge:
    return Forge()


@pytest.fixture(scope="module")
def trusted(idp: Forge) -> Trusted:
    return Trusted(saml_metadata.parse(idp.metadata()).idps, "SAMLSPTESTTESTTESTTESTX")


def verify(encoded: str, trusted: Trusted) -> saml.Assertion:
    return saml.verify(encoded, trusted, time.time())


def evil(element: Tree) -> Tree:
    """A copy that says another name, under an id of its own, and has no signature."""
    made = copy.deepcopy(element)
    for signature in list(made.iter(f"{{{DS}}}Signature")):
        parent = signature.getparent()
        assert parent is not None
        parent.remove(signature)
    made.set("ID", "_evil")
    if made.tag == f"{{{SAMLP}}}Response":
        assertion_of(made).set("ID", "_evil_assertion")
    name_id(made).text = "admin"
    return made


# Wrapping a signed response


def xsw1(idp: Forge) -> Tree:
    """The signed response inside of its signature, which moved to an evil one."""
    root = idp.unsigned()
    idp.sign(root)
    wrapper, signature = evil(root), signature_of(root)
    root.remove(signature)
    signature.append(root)
    wrapper.insert(1, signature)
    return wrapper


def xsw2(idp: Forge) -> Tree:
    """The signed response beside its signature, both in an evil one."""
    root = idp.unsigned()
    idp.sign(root)
    wrapper, signature = evil(root), signature_of(root)
    root.remove(signature)
    wrapper.insert(1, signature)
    wrapper.insert(1, root)
    return wrapper


# Wrapping a signed assertion


def xsw3(idp: Forge) -> Tree:
    """An evil assertion before the genuine one."""
    root = idp.response()
    genuine = assertion_of(root)
    root.insert(root.index(genuine), evil(genuine))
    return root


def xsw4(idp: Forge) -> Tree:
    """The genuine assertion inside of an evil one."""
    root = idp.response()
    genuine = assertion_of(root)
    wrapper = evil(genuine)
    root.replace(genuine, wrapper)
    wrapper.append(genuine)
    return root


def xsw5(idp: Forge) -> Tree:
    """The signature in an evil assertion, the genuine one without it behind."""
    root = idp.response()
    genuine = assertion_of(root)
    wrapper, signature = evil(genuine), signature_of(genuine)
    genuine.remove(signature)
    wrapper.insert(1, signature)
    root.insert(root.index(genuine), wrapper)
    return root


def xsw6(idp: Forge) -> Tree:
    """The signature in an evil assertion, the genuine one inside of the signature."""
    root = idp.response()
    genuine = assertion_of(root)
    wrapper, signature = evil(genuine), signature_of(genuine)
    root.replace(genuine, wrapper)
    genuine.remove(signature)
    signature.append(genuine)
    wrapper.insert(1, signature)
    return root


def xsw7(idp: Forge) -> Tree:
    """An evil assertion in Extensions, where any element may be."""
    root = idp.response()
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(evil(assertion_of(root)))
    root.insert(1, extensions)
    return root


def xsw8(idp: Forge) -> Tree:
    """The genuine assertion in an Object of the signature, which is in an evil one."""
    root = idp.response()
    genuine = assertion_of(root)
    wrapper, signature = evil(genuine), signature_of(genuine)
    root.replace(genuine, wrapper)
    genuine.remove(signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(genuine)
    wrapper.insert(1, signature)
    return root


def evil_with_the_same_id(idp: Forge) -> Tree:
    """Two assertions of one id: which one does the reference mean?"""
    root = xsw3(idp)
    identifier = root.findall(f"{{{SAML}}}Assertion")[1].get("ID", "")
    assertion_of(root).set("ID", identifier)
    return root


def an_id_of_another_name(idp: Forge) -> Tree:
    """The id once more, under an attribute that other readers take for one."""
    root = idp.response()
    signed = assertion_of(root).get("ID", "")
    etree.SubElement(root, f"{{{SAMLP}}}Extensions").set("{http://www.w3.org/XML/1998/namespace}id", signed)
    return root


def reference_to_the_document(idp: Forge) -> Tree:
    """An empty reference means the whole document: SAML forbids it."""
    root = idp.response()
    reference = root.find(f".//{{{DS}}}Reference")
    assert reference is not None
    reference.set("URI", "")
    return root


def no_signature(idp: Forge) -> Tree:
    return idp.unsigned()


def signature_of_something_else(idp: Forge) -> Tree:
    """A genuine signature that covers another element."""
    root = idp.unsigned()
    other = idp.response()
    assertion_of(root).insert(1, signature_of(assertion_of(other)))
    return root


def another_name(idp: Forge) -> Tree:
    root = idp.response()
    name_id(root).text = "admin"
    return root


def another_key(idp: Forge) -> Tree:
    """Signed by a key whose certificate comes along in the response."""
    root = idp.unsigned()
    idp.sign(assertion_of(root), by=Forge())
    return root


def one_good_signature_and_one_bad(idp: Forge) -> Tree:
    root = idp.response()
    idp.sign(root, by=Forge())
    return root


def two_signatures(idp: Forge) -> Tree:
    root = idp.response()
    assertion_of(root).insert(1, copy.deepcopy(signature_of(assertion_of(root))))
    return root


def signed_twice_around(idp: Forge) -> Tree:
    """A signed response whose assertion was changed after the assertion was signed."""
    root = idp.response()
    name_id(root).text = "admin"
    idp.sign(root)
    return root


def no_assertion(idp: Forge) -> Tree:
    root = idp.unsigned()
    root.remove(assertion_of(root))
    idp.sign(root)
    return root


def bare_assertion(idp: Forge) -> Tree:
    return assertion_of(idp.response())


def deep(idp: Forge) -> Tree:
    root = idp.response()
    inner = etree.SubElement(root, f"{{{SAMLP}}}Extensions")
    for _ in range(100):
        inner = etree.SubElement(inner, "a")
    return root


ATTACKS: list[Callable[[Forge], Tree]] = [
    *(xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8, evil_with_the_same_id, an_id_of_another_name),
    *(reference_to_the_document, no_signature, signature_of_something_else, another_name, another_key),
    *(one_good_signature_and_one_bad, two_signatures, signed_twice_around, no_assertion, bare_assertion, deep),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_wrapped_or_altered_response_is_refused(
    attack: Callable[[Forge], Tree], idp: Forge, trusted: Trusted
) -> None:
    assert verify(idp.says(), trusted).subject == "alice"
    with pytest.raises(InvalidIdentity):
        verify(idp.encoded(attack(idp)), trusted)


def test_what_an_attack_leaves_readable_was_signed(idp: Forge, trusted: Trusted) -> None:
    """A signed assertion in an unsigned response: the response may say what it likes, nothing of it is read."""
    root = idp.response(subject="alice")
    etree.SubElement(root, f"{{{SAMLP}}}Extensions").text = "admin"
    found = verify(idp.encoded(root), trusted)
    assert (found.subject, found.issuer) == ("alice", idp.entity_id)


# Algorithms

WEAK = {
    "SHA-1 signature": {"signature_algorithm": SignatureMethod.RSA_SHA1},
    "SHA-1 digest": {"digest_algorithm": DigestAlgorithm.SHA1},
    "another canonical form": {"c14n_algorithm": CanonicalizationMethod.CANONICAL_XML_1_0},
}


@pytest.mark.parametrize("options", WEAK.values(), ids=WEAK)
def test_a_signature_by_another_algorithm_is_refused(options: dict[str, object], idp: Forge, trusted: Trusted) -> None:
    root = idp.unsigned()
    idp.sign(assertion_of(root), **options)
    with pytest.raises(InvalidIdentity, match=r"^Response signature invalid$"):
        verify(idp.encoded(root), trusted)


ALGORITHMS = {
    "HMAC by the public certificate": "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    "DSA": "http://www.w3.org/2009/xmldsig11#dsa-sha256",
    "none": "",
    "unheard of": "urn:example:sign",
}


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_a_claimed_algorithm_is_refused(algorithm: str, idp: Forge, trusted: Trusted) -> None:
    root = idp.response()
    method = root.find(f".//{{{DS}}}SignatureMethod")
    assert method is not None
    method.set("Algorithm", algorithm)
    with pytest.raises(InvalidIdentity, match=r"^Response signature invalid$"):
        verify(idp.encoded(root), trusted)


TRANSFORMS = (
    "http://www.w3.org/TR/1999/REC-xslt-19991116",
    "http://www.w3.org/TR/1999/REC-xpath-19991116",
    "http://www.w3.org/2002/06/xmldsig-filter2",
    "http://www.w3.org/2000/09/xmldsig#base64",
)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_that_saml_does_not_know_is_refused(transform: str, idp: Forge, trusted: Trusted) -> None:
    root = idp.response()
    transforms = root.find(f".//{{{DS}}}Transforms")
    assert transforms is not None
    etree.SubElement(transforms, f"{{{DS}}}Transform", Algorithm=transform)
    with pytest.raises(InvalidIdentity, match=r"^Response signature invalid$"):
        verify(idp.encoded(root), trusted)


def test_a_certificate_that_has_run_out_signs_nothing() -> None:
    old = Forge(days=-1)
    trusted = Trusted(saml_metadata.parse(old.metadata()).idps, "SAMLSP")
    with pytest.raises(InvalidIdentity, match=r"^Response signature invalid$"):
        verify(old.says(), trusted)


# Text


def with_text(idp: Forge, before: bytes, after: bytes) -> str:
    document = etree.tostring(idp.response())
    assert before in document
    return base64.b64encode(document.replace(before, after)).decode()


BOMB = b'<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 1000 + b'"><!ENTITY c "' + b"&b;" * 1000 + b'">]>'
PROLOGUES = {
    "document type": b"<!DOCTYPE samlp:Response>",
    "external document type": b'<!DOCTYPE r SYSTEM "http://127.0.0.1:1/evil.dtd">',
    "external entity": b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "parameter entity": b'<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]>',
    "entities in entities": BOMB,
    "stylesheet": b'<?xml-stylesheet href="file:///etc/passwd"?>',
    "comment": b"<!-- hello -->",
}


@pytest.mark.parametrize("prologue", PROLOGUES.values(), ids=PROLOGUES)
def test_declarations_before_the_response_are_refused_before_they_are_parsed(
    prologue: bytes, idp: Forge, trusted: Trusted
) -> None:
    began = time.perf_counter()
    with pytest.raises(InvalidIdentity, match="a document type, a comment"):
        verify(base64.b64encode(prologue + etree.tostring(idp.response())).decode(), trusted)
    assert time.perf_counter() - began < 0.5


NAMES = {
    "comment in the name": b"admin<!---->.evil.example.com",
    "CDATA in the name": b"<![CDATA[admin]]>",
    "instruction in the name": b"admin<?x y?>.evil",
    "entity in the name": b"&admin;",
    "elements in the name": b"<a>ad</a><b>min</b>",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_that_two_readers_could_read_differently_is_refused(name: bytes, idp: Forge, trusted: Trusted) -> None:
    with pytest.raises(InvalidIdentity):
        verify(with_text(idp, b">alice<", b">" + name + b"<"), trusted)


def test_a_comment_within_a_signed_name_does_not_shorten_it(idp: Forge, trusted: Trusted) -> None:
    """The signature is right, with or without the comment: it is canonicalized away. The response is refused."""
    encoded = idp.encoded(idp.response(subject="admin@example.com.evil.example.org"))
    assert verify(encoded, trusted).subject == "admin@example.com.evil.example.org"
    document = base64.b64decode(encoded).replace(b"example.com.evil", b"example.com<!---->.evil")
    with pytest.raises(InvalidIdentity):
        verify(base64.b64encode(document).decode(), trusted)


def reencoded(idp: Forge, encoding: str) -> bytes:
    text = etree.tostring(idp.response()).decode()
    return f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-7", "latin-1", "utf-32", "cp037"])
def test_only_utf_8_is_read(encoding: str, idp: Forge, trusted: Trusted) -> None:
    with pytest.raises(InvalidIdentity):
        verify(base64.b64encode(reencoded(idp, encoding)).decode(), trusted)
    assert verify(base64.b64encode(reencoded(idp, "UTF-8")).decode(), trusted).subject == "alice"


GARBAGE = ["", "A", "====", "PGE+", "not base64!", "PD94bWw=", base64.b64encode(b"<a" * 20_000).decode(), "4oSi" * 5000]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_response_is_refused(garbage: str, trusted: Trusted) -> None:
    with pytest.raises(InvalidIdentity):
        verify(garbage, trusted)


def test_every_flipped_byte_is_refused_or_says_the_same(idp: Forge, trusted: Trusted) -> None:
    """Whatever one byte of a response becomes: what is read of it is what was signed, or nothing."""
    document = etree.tostring(idp.response(attributes={"urn:oid:2.5.4.3": ["Alice"]}))
    genuine = verify(base64.b64encode(document).decode(), trusted)
    for at in range(0, len(document), 7):
        changed = document[:at] + bytes((document[at] ^ 1,)) + document[at + 1 :]
        try:
            found = verify(base64.b64encode(changed).decode(), trusted)
        except FederationRefused:
            continue
        assert found == genuine, changed[max(0, at - 40) : at + 40]


def test_a_large_hostile_response_is_refused_quickly(idp: Forge, trusted: Trusted) -> None:
    """75 KB is all that a request can bring: many ids, many namespaces, wide and deep."""
    root = idp.response()
    extensions = etree.SubElement(root, f"{{{SAMLP}}}Extensions")
    for number in range(1200):
        etree.SubElement(extensions, f"{{urn:{number}}}a", ID=f"_{number}")
    began = time.perf_counter()
    verify(idp.encoded(root), trusted)
    assert time.perf_counter() - began < 2
    another = another_name(idp)
    another.append(extensions)
    with pytest.raises(InvalidIdentity):
        verify(idp.encoded(another), trusted)

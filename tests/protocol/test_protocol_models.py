"""The service models: what is read of them, and that nothing in them is beyond us."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest

from freehold.protocol import models, validate
from freehold.services.operation import SERVED

UNREADABLE: list[tuple[str, str]] = []
"""Patterns of the served services that have no Python equivalent, and so aren't tested: (service, shape)."""


def test_every_pattern_of_the_served_services_compiles_but_the_listed_ones() -> None:
    found = []
    for service in SERVED:
        model = models.service(service)
        for operation in model.operations.values():
            shapes = [operation.input, operation.output]
            seen: set[models.Shape] = set()
            while shapes:
                shape = shapes.pop()
                if shape is None or shape in seen:
                    continue
                seen.add(shape)
                shapes += [part.shape for part in shape.members.values()]
                shapes += [part.shape for part in (shape.member, shape.key, shape.value) if part is not None]
                if shape.pattern is not None and validate.pattern(shape.pattern) is None:
                    found.append((service, shape.name))
    assert sorted(set(found)) == UNREADABLE


def test_a_tag_keys_pattern_means_javas_letters_separators_and_numbers() -> None:
    tag_key = validate.pattern(models.service("iam").shape("tagKeyType").pattern or "")
    assert tag_key is not None
    allowed = set("_.:/=+-@")
    wrong = []
    for code in range(0x30000):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cn":  # the two tables are of different versions of Unicode
            continue
        wanted = character in allowed or category[0] in "LZN"
        if (tag_key.fullmatch(character) is not None) != wanted:
            wrong.append(f"U+{code:04X}")
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "text", "matches"),
    [
        (r"[\w+=,.@-]+", "José", False),
        (r"^[a-z]+$", "abc\n", False),
        (r"\d{12}", "١٢٣٤٥٦٧٨٩٠١٢", False),
        (r"\d{12}", "123456789012", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a🜁", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\x01", False),
    ],
)
def test_patterns_are_read_as_java_does(source: str, text: str, matches: bool) -> None:
    compiled = validate.pattern(source)
    assert compiled is not None
    assert (compiled.fullmatch(text) is not None) == matches


def test_secrets_are_marked_sensitive() -> None:
    kms, iam, sts = (models.service(name) for name in ("kms", "iam", "sts"))
    encrypt = kms.operations["Encrypt"].input
    create_key = iam.operations["CreateAccessKey"].output
    assume_role = sts.operations["AssumeRole"].output
    assert encrypt is not None
    assert create_key is not None
    assert assume_role is not None
    assert encrypt.members["Plaintext"].sensitive
    assert create_key.members["AccessKey"].shape.members["SecretAccessKey"].sensitive
    assert assume_role.members["Credentials"].shape.members["SecretAccessKey"].sensitive


def test_a_model_is_read_once_and_an_unknown_service_has_none() -> None:
    assert models.service("kms") is models.service("kms")
    with pytest.raises(models.UnknownService):
        models.service("nosuchservice")
    with pytest.raises(models.UnknownService):
        models.service("../../etc")


def test_the_protocols_need_no_botocore() -> None:
    program = (
        "import sys\n"
        "from freehold.protocol.codec import codec\n"
        "from freehold.protocol import models\n"
        f"for name in {SERVED!r}: [codec(operation) for operation in models.service(name).operations.values()]\n"
        "sys.exit('botocore' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

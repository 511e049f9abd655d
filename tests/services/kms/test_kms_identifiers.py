"""How keys may be named."""

from __future__ import annotations

import pytest

from freehold.errors import AwsError
from freehold.services.kms.identifiers import Name, new_key_id, parse

ME, REGION = "111122223333", "us-east-1"
ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
HEAD = f"arn:aws:kms:{REGION}:"

NAMES = [
    (ID, Name(ME, ID, "")),
    ("mrk-0123456789abcdef0123456789abcdef", Name(ME, "mrk-0123456789abcdef0123456789abcdef", "")),
    (f"{HEAD}{ME}:key/{ID}", Name(ME, ID, "")),
    (f"{HEAD}444455556666:key/{ID}", Name("444455556666", ID, "")),
    ("alias/a", Name(ME, "", "alias/a")),
    ("alias/team/a_b-c", Name(ME, "", "alias/team/a_b-c")),
    (f"{HEAD}444455556666:alias/a", Name("444455556666", "", "alias/a")),
]

NOT_NAMES = [
    ("fake-key-id", "NotFoundException", "Invalid keyId 'fake-key-id'"),
    ("mrk-fake-key-id", "NotFoundException", "Invalid keyId 'mrk-fake-key-id'"),
    (ID.upper(), "NotFoundException", f"Invalid keyId '{ID.upper()}'"),
    (ID + "\n", "NotFoundException", f"Invalid keyId '{ID}\n'"),
    (f"key/{ID}", "NotFoundException", f"Invalid keyId 'key/{ID}'"),
    ("alias/", "NotFoundException", "Invalid keyId 'alias/'"),
    (f"{HEAD}{ME}:key/", "NotFoundException", "Invalid keyId ''"),
    (f"{HEAD}{ME}:key/alias/a", "NotFoundException", "Invalid keyId 'alias/a'"),
    (f"arn:aws:kms:eu-west-1:{ME}:key/{ID}", "NotFoundException", "Invalid arn eu-west-1"),
    (f"arn:aws:s3:{REGION}:{ME}:key/{ID}", "InvalidArnException", None),
    (f"arn:aws-cn:kms:{REGION}:{ME}:key/{ID}", "InvalidArnException", None),
    (f"{HEAD}me:key/{ID}", "InvalidArnException", None),
    (f"{HEAD}{ME}:grant/{ID}", "InvalidArnException", None),
    ("arn:", "InvalidArnException", None),
]


@pytest.mark.parametrize(("text", "named"), NAMES)
def test_a_key_is_named_in_four_ways(text: str, named: Name) -> None:
    assert parse(text, REGION, ME, aliases=True) == named


@pytest.mark.parametrize(("text", "code", "message"), NOT_NAMES)
def test_what_names_no_key_is_refused_as_aws_does(text: str, code: str, message: str | None) -> None:
    with pytest.raises(AwsError) as refused:
        parse(text, REGION, ME, aliases=True)
    assert refused.value.code == code
    assert message is None or refused.value.message == message


@pytest.mark.parametrize(
    ("text", "code"), [("alias/a", "NotFoundException"), (f"{HEAD}{ME}:alias/a", "InvalidArnException")]
)
def test_operations_that_manage_a_key_take_no_alias(text: str, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        parse(text, REGION, ME, aliases=False)
    assert refused.value.code == code


def test_new_key_ids_are_key_ids() -> None:
    made = new_key_id()
    assert parse(made, REGION, ME, aliases=False).key_id == made

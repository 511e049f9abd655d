"""AssumeRoleWithSAML end to end: a real provider's responses over real HTTP, and the trust policy that decides."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from lxml import etree
from saml_forge import ATTRIBUTES, ENDPOINT, Forge, moment, role_attributes
from saml_provider import HERE, SamlProvider
from test_saml_attacks import ATTACKS, PROLOGUES

PERSON = "urn:oid:1.3.6.1.4.1.5923.1.1.1.1"


@contextmanager
def fails(code: str, status: int, text: str = "") -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert (error["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    assert text in error["Message"], error


@pytest.fixture(scope="module")
def samlify(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlProvider]:
    made = SamlProvider(tmp_path_factory.mktemp("samlify"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


class Federation:
    """An account with a SAML provider `corp` and a role `reader` that trusts it."""

    def __init__(self, aws: Any, metadata: str) -> None:
        self.aws = aws
        self.provider = aws.iam.create_saml_provider(Name="corp", SAMLMetadataDocument=metadata)["SAMLProviderArn"]
        self.role = aws.iam.create_role(RoleName="reader", AssumeRolePolicyDocument=self.trust())["Role"]["Arn"]
        self.sts = aws.client("sts", config=Config(signature_version=UNSIGNED))

    def trust(self, *actions: str, **condition: Any) -> str:
        allowed = {
            "Effect": "Allow",
            "Principal": {"Federated": self.provider},
            "Action": list(actions or ("sts:AssumeRoleWithSAML",)),
            "Condition": condition or {"StringEquals": {"saml:aud": ENDPOINT}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})

    def set_trust(self, *actions: str, **condition: Any) -> None:
        self.aws.iam.update_assume_role_policy(
            RoleName="reader", PolicyDocument=self.trust("sts:AssumeRoleWithSAML", *actions, **condition)
        )

    def says(self, session_name: str = "alice", **more: Any) -> dict[str, list[str]]:
        return role_attributes(self.role, self.provider, session_name, **more)

    def assume(self, assertion: str, **params: Any) -> Any:
        given = {"RoleArn": self.role, "PrincipalArn": self.provider, "SAMLAssertion": assertion, **params}
        return self.sts.assume_role_with_saml(**given)


@pytest.fixture
def federation(aws: Any, forge: Forge) -> Federation:
    return Federation(aws, forge.metadata())


def event_of(aws: Any, name: str) -> dict[str, Any]:
    found = aws.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])
    return json.loads(found["Events"][0]["CloudTrailEvent"])


# With a real provider


def test_the_lock_file_names_no_place_to_fetch_from() -> None:
    assert '"resolved"' not in (HERE / "package-lock.json").read_text()


@pytest.mark.parametrize(
    "wanted", [{"sign": "assertion"}, {"sign": "message"}, {"sign": "both", "algorithm": "rsa-sha512"}]
)
def test_a_real_providers_response_gives_a_session(aws: Any, samlify: SamlProvider, wanted: dict[str, str]) -> None:
    corp = Federation(aws, samlify.metadata)
    got = corp.assume(samlify.response("alice@example.com", attributes=corp.says("alice"), **wanted))
    assert got["Subject"] == "alice@example.com"
    assert (got["SubjectType"], got["Issuer"], got["Audience"]) == ("persistent", samlify.entity_id, ENDPOINT)
    who = aws.using(got).sts.get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{aws.account_id}:assumed-role/reader/alice"
    assert who["UserId"] == got["AssumedRoleUser"]["AssumedRoleId"]
    left = got["Credentials"]["Expiration"].timestamp() - time.time()
    assert 3500 < left <= 3600


def test_sha_1_signatures_of_a_real_provider_are_refused(aws: Any, samlify: SamlProvider) -> None:
    corp = Federation(aws, samlify.metadata)
    with fails("InvalidIdentityToken", 400, "Response signature invalid"):
        corp.assume(samlify.response("alice", attributes=corp.says(), algorithm="rsa-sha1"))


def public_key_of(forge: Forge) -> dict[str, str]:
    return {"encrypt_for": forge.certificate_pem.decode()}


ENCRYPTED = [
    ({"sign": "assertion", "content": "aes256-gcm"}, True),
    ({"sign": "assertion", "content": "aes128-gcm"}, True),
    ({"sign": "both", "content": "aes256-cbc"}, True),
    ({"sign": "message", "content": "aes256-gcm"}, True),
    # Without a signature around it, AES-CBC could be altered on the way and tried out on us.
    ({"sign": "assertion", "content": "aes256-cbc"}, False),
]


@pytest.mark.parametrize(("wanted", "accepted"), ENCRYPTED)
def test_an_encrypted_assertion_of_a_real_provider(
    aws: Any, samlify: SamlProvider, forge: Forge, wanted: dict[str, str], accepted: bool
) -> None:
    corp = Federation(aws, samlify.metadata)
    response = samlify.response("alice", attributes=corp.says(), **wanted, **public_key_of(forge))
    with fails("InvalidIdentityToken", 400, "no private key"):
        corp.assume(response)
    aws.iam.update_saml_provider(SAMLProviderArn=corp.provider, AddPrivateKey=forge.key_pem.decode())
    if accepted:
        assert corp.assume(response)["Subject"] == "alice"
    else:
        with fails("InvalidIdentityToken", 400, "encrypted by an algorithm"):
            corp.assume(response)


def test_an_assertion_for_another_key_is_not_opened(aws: Any, samlify: SamlProvider, forge: Forge) -> None:
    corp = Federation(aws, samlify.metadata)
    aws.iam.update_saml_provider(SAMLProviderArn=corp.provider, AddPrivateKey=Forge().key_pem.decode())
    response = samlify.response("alice", attributes=corp.says(), **public_key_of(forge))
    with fails("InvalidIdentityToken", 400, "could not be decrypted"):
        corp.assume(response)
    aws.iam.update_saml_provider(SAMLProviderArn=corp.provider, AddPrivateKey=forge.key_pem.decode())
    assert corp.assume(response)["Subject"] == "alice"


def test_where_encryption_is_required_nothing_else_is_accepted(aws: Any, samlify: SamlProvider, forge: Forge) -> None:
    corp = Federation(aws, samlify.metadata)
    aws.iam.update_saml_provider(
        SAMLProviderArn=corp.provider, AddPrivateKey=forge.key_pem.decode(), AssertionEncryptionMode="Required"
    )
    own = aws.iam.get_saml_provider(SAMLProviderArn=corp.provider)["SAMLProviderUUID"]
    recipient = f"{ENDPOINT}/acs/{own}"
    corp.set_trust(StringEquals={"saml:aud": recipient})
    with fails("InvalidIdentityToken", 400, "requires encrypted"):
        corp.assume(samlify.response("alice", attributes=corp.says(), recipient=recipient))
    with fails("InvalidIdentityToken", 400, "recipient"):
        corp.assume(samlify.response("alice", attributes=corp.says(), **public_key_of(forge)))
    got = corp.assume(samlify.response("alice", attributes=corp.says(), recipient=recipient, **public_key_of(forge)))
    assert got["Audience"] == recipient


# What the trust policy decides


CONDITIONS: list[tuple[dict[str, Any], bool]] = [
    ({"StringEquals": {"saml:iss": "https://idp.example.com/saml"}}, True),
    ({"StringEquals": {"saml:iss": "https://other.example.com"}}, False),
    ({"StringEquals": {"saml:sub": "alice"}}, True),
    ({"StringEquals": {"saml:sub": "bob"}}, False),
    ({"StringEquals": {"saml:sub_type": "persistent"}}, True),
    ({"ForAllValues:StringLike": {"saml:edupersonaffiliation": ["staff", "member"]}}, True),
    ({"ForAnyValue:StringLike": {"saml:edupersonaffiliation": ["student"]}}, False),
    ({"StringEquals": {"saml:mail": "alice@example.com"}}, True),
    ({"StringEquals": {"saml:cn": "Alice"}}, True),
    ({"StringEquals": {"sts:RoleSessionName": "alice"}}, True),
    ({"StringEquals": {"sts:RoleSessionName": "root"}}, False),
    ({"Null": {"aws:PrincipalArn": "true"}}, True),
]


@pytest.mark.parametrize(("condition", "allowed"), CONDITIONS, ids=[str(condition) for condition, _ in CONDITIONS])
def test_the_trust_policy_asks_what_the_assertion_says(
    federation: Federation, forge: Forge, condition: dict[str, Any], allowed: bool
) -> None:
    federation.set_trust(**condition)
    attributes = federation.says() | {
        PERSON: ["staff", "member"],
        "urn:oid:2.5.4.3": ["Alice"],
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": ["alice@example.com"],
    }
    assertion = forge.says(attributes=attributes)
    if allowed:
        federation.assume(assertion)
    else:
        with fails("AccessDenied", 403, "sts:AssumeRoleWithSAML"):
            federation.assume(assertion)


def test_saml_doc_and_the_name_qualifier_are_what_the_pages_say(federation: Federation, forge: Forge) -> None:
    import base64
    import hashlib

    account = federation.aws.account_id
    hashed = base64.b64encode(hashlib.sha1(f"{forge.entity_id}{account}/corp".encode()).digest()).decode()
    federation.set_trust(StringEquals={"saml:doc": f"{account}/corp", "saml:namequalifier": hashed})
    assert federation.assume(forge.says(attributes=federation.says()))["NameQualifier"] == hashed


def test_a_role_that_does_not_trust_the_provider_is_refused(federation: Federation, forge: Forge) -> None:
    other = federation.aws.iam.create_saml_provider(Name="other", SAMLMetadataDocument=forge.metadata())
    arn = other["SAMLProviderArn"]
    assertion = forge.says(attributes=role_attributes(federation.role, arn))
    with fails("AccessDenied", 403):
        federation.assume(assertion, PrincipalArn=arn)
    web = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Federated": federation.provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
    ]})  # fmt: skip
    federation.aws.iam.update_assume_role_policy(RoleName="reader", PolicyDocument=web)
    with fails("AccessDenied", 403):
        federation.assume(forge.says(attributes=federation.says()))


def test_a_role_that_the_assertion_does_not_offer_is_refused(federation: Federation, forge: Forge) -> None:
    """The provider says which roles somebody may take: trust alone is not enough."""
    with fails("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithSAML"):
        federation.assume(forge.says(attributes=role_attributes(federation.role + "s", federation.provider)))
    without = federation.says()
    del without[ATTRIBUTES + "Role"]
    with fails("AccessDenied", 403):
        federation.assume(forge.says(attributes=without))
    turned = federation.says(Role=["x,y", f"{federation.provider}, {federation.role}"])
    assert federation.assume(forge.says(attributes=turned))["Subject"] == "alice"


def test_a_role_that_does_not_exist_is_refused_in_the_same_words(federation: Federation, forge: Forge) -> None:
    missing = f"arn:aws:iam::{federation.aws.account_id}:role/missing"
    said = role_attributes(missing, federation.provider)
    with pytest.raises(ClientError) as absent:
        federation.assume(forge.says(attributes=said), RoleArn=missing)
    federation.set_trust(StringEquals={"saml:sub": "nobody"})
    with pytest.raises(ClientError) as closed:
        federation.assume(forge.says(attributes=federation.says()))
    words = [str(caught.value).partition(" Run freehold why")[0] for caught in (absent, closed)]
    assert "AccessDenied" in words[0]
    assert words[0].replace("role/missing", "role/reader") == words[1]


def test_a_provider_speaks_for_its_own_account_only(federation: Federation, forge: Forge, freehold_server: Any) -> None:
    other = Federation(freehold_server.new_account("other"), forge.metadata())
    assertion = forge.says(attributes=role_attributes(other.role, federation.provider))
    with fails("AccessDenied", 403):
        federation.assume(assertion, RoleArn=other.role)
    trusting = json.loads(other.trust())
    trusting["Statement"][0]["Principal"]["Federated"] = federation.provider
    with fails("MalformedPolicyDocument", 400, 'Invalid principal in policy: "FEDERATED"'):
        other.aws.iam.update_assume_role_policy(RoleName="reader", PolicyDocument=json.dumps(trusting))


@pytest.mark.parametrize("arn", ["arn:aws:iam::123456789012:saml-provider/none", "arn:aws:iam::aws:saml-provider/corp"])
def test_a_provider_that_does_not_exist_vouches_for_nobody(federation: Federation, forge: Forge, arn: str) -> None:
    with fails("InvalidIdentityToken", 400, "Specified provider doesn't exist"):
        federation.assume(forge.says(attributes=federation.says()), PrincipalArn=arn)


def test_a_deleted_provider_vouches_for_nobody(federation: Federation, forge: Forge) -> None:
    federation.aws.iam.delete_saml_provider(SAMLProviderArn=federation.provider)
    with fails("InvalidIdentityToken", 400, "Specified provider doesn't exist"):
        federation.assume(forge.says(attributes=federation.says()))


@pytest.mark.parametrize("change", [{"RoleArn": "arn:aws:iam::123456789012:user/alice"}, {"PrincipalArn": "a" * 30}])
def test_what_is_no_arn_of_its_kind_is_refused(federation: Federation, forge: Forge, change: dict[str, str]) -> None:
    with fails("ValidationError", 400, "invalid"):
        federation.assume(forge.says(attributes=federation.says()), **change)


# What the session is


def test_tags_and_source_identity_need_their_own_permission(federation: Federation, forge: Forge) -> None:
    tagged = federation.says(**{"PrincipalTag:Team": "red", "TransitiveTagKeys": ["Team"]})
    named = federation.says(SourceIdentity="alice")
    for attributes in (tagged, named):
        with fails("AccessDenied", 403):
            federation.assume(forge.says(attributes=attributes))
    federation.set_trust("sts:TagSession", StringEquals={"aws:RequestTag/Team": "red"})
    got = federation.assume(forge.says(attributes=tagged))
    assert got["PackedPolicySize"] > 0
    federation.set_trust("sts:SetSourceIdentity", StringEquals={"sts:SourceIdentity": "alice"})
    assert federation.assume(forge.says(attributes=named))["SourceIdentity"] == "alice"


def test_a_session_reaches_what_is_its_subjects(federation: Federation, forge: Forge) -> None:
    """AWS's example: a folder per person, named by qualifier and subject, for persistent names only."""
    bucket = f"saml-{federation.aws.account_id}"
    federation.aws.s3.create_bucket(Bucket=bucket)
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::{bucket}/backup/${{saml:namequalifier}}/${{saml:sub}}/*",
            "Condition": {
                "StringEquals": {"saml:sub_type": "persistent", "aws:FederatedProvider": federation.provider}
            },
        },
    }
    federation.aws.iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=json.dumps(policy))
    got = federation.assume(forge.says(attributes=federation.says()))
    alice = federation.aws.using(got).s3
    alice.put_object(Bucket=bucket, Key=f"backup/{got['NameQualifier']}/alice/x", Body=b"mine")
    for key in (f"backup/{got['NameQualifier']}/bob/x", "backup/other/alice/x"):
        with fails("AccessDenied", 403):
            alice.put_object(Bucket=bucket, Key=key, Body=b"not mine")
    transient = forge.says(attributes=federation.says(), format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient")
    with fails("AccessDenied", 403):
        federation.aws.using(federation.assume(transient)).s3.put_object(
            Bucket=bucket, Key=f"backup/{got['NameQualifier']}/alice/y", Body=b"not persistent"
        )


def test_session_tags_are_the_principals_tags_along_a_chain(federation: Federation, forge: Forge) -> None:
    iam, account = federation.aws.iam, federation.aws.account_id
    federation.set_trust("sts:TagSession", "sts:SetSourceIdentity")
    chain = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": account},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": {"StringEquals": {"aws:RequestTag/Team": "red", "aws:SourceIdentity": "alice"}},
    }]}  # fmt: skip
    second = iam.create_role(RoleName="second", AssumeRolePolicyDocument=json.dumps(chain))["Role"]["Arn"]
    may = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_role_policy(RoleName="reader", PolicyName="chain", PolicyDocument=policy)
    said = {"PrincipalTag:Team": "red", "TransitiveTagKeys": "Team", "SourceIdentity": "alice"}
    got = federation.assume(forge.says(attributes=federation.says(**said)))
    chained = federation.aws.using(got).sts.assume_role(RoleArn=second, RoleSessionName="next")
    assert chained["SourceIdentity"] == "alice"


DURATIONS: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({}, {}, 3600),
    ({"DurationSeconds": 900}, {}, 900),
    ({"DurationSeconds": 7200}, {}, 7200),
    ({"DurationSeconds": 7200}, {"SessionDuration": "1800"}, 1800),
    ({"DurationSeconds": 900}, {"SessionDuration": "43200"}, 900),
]


@pytest.mark.parametrize(("params", "said", "seconds"), DURATIONS)
def test_how_long_a_session_lasts(
    federation: Federation, forge: Forge, params: dict[str, Any], said: dict[str, Any], seconds: int
) -> None:
    federation.aws.iam.update_role(RoleName="reader", MaxSessionDuration=7200)
    got = federation.assume(forge.says(attributes=federation.says(**said)), **params)
    assert abs(got["Credentials"]["Expiration"].timestamp() - time.time() - seconds) < 5


def test_the_providers_session_and_the_roles_limit_bound_it(federation: Federation, forge: Forge) -> None:
    assertion = forge.says(attributes=federation.says(), session_end=moment(time.time() + 1000))
    got = federation.assume(assertion)
    assert abs(got["Credentials"]["Expiration"].timestamp() - time.time() - 1000) < 5
    with fails("ValidationError", 400, "MaxSessionDuration"):
        federation.assume(forge.says(attributes=federation.says()), DurationSeconds=7200)


def test_a_session_policy_limits_it(federation: Federation, forge: Forge) -> None:
    every = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    federation.aws.iam.put_role_policy(RoleName="reader", PolicyName="all", PolicyDocument=every)
    nothing = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    assertion = forge.says(attributes=federation.says())
    federation.aws.using(federation.assume(assertion)).iam.list_users()
    with fails("AccessDenied", 403):
        federation.aws.using(federation.assume(assertion, Policy=nothing)).iam.list_users()
    with fails("MalformedPolicyDocument", 400):
        federation.assume(assertion, Policy="{")


WORDS: list[tuple[dict[str, Any], str]] = [
    ({"RoleSessionName": []}, "RoleSessionName in AuthnResponse must have exactly one value"),
    ({"RoleSessionName": "a b"}, "RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"),
    ({"RoleSessionName": ["alice", "bob"]}, "RoleSessionName in AuthnResponse must have exactly one value"),
    ({"RoleSessionName": ""}, "RoleSessionName is required in AuthnResponse"),
    ({"SourceIdentity": "aws:me"}, "Source Identity must match"),
    ({"SourceIdentity": "a"}, "Source Identity must match"),
    ({"SessionDuration": "60"}, "SessionDuration"),
    ({"SessionDuration": "a day"}, "SessionDuration"),
    ({"PrincipalTag:aws:x": "1"}, "PrincipalTag"),
    ({"PrincipalTag:": "1"}, "PrincipalTag"),
    ({"PrincipalTag:a": ["1", "2"]}, "PrincipalTag"),
    ({"PrincipalTag:a": "<tag/>".replace("<", "&lt;")}, "PrincipalTag"),
    ({"PrincipalTag:a": "1", "PrincipalTag:A": "2"}, "Duplicate tag keys"),
    ({"TransitiveTagKeys": "Team"}, "transitive tag key"),
    ({f"PrincipalTag:{number}": "1" for number in range(51)}, "at most 50"),
]


@pytest.mark.parametrize(("said", "words"), WORDS)
def test_attributes_that_say_what_they_may_not(
    federation: Federation, forge: Forge, said: dict[str, Any], words: str
) -> None:
    attributes = federation.says()
    for name, value in said.items():
        attributes[ATTRIBUTES + name] = value if isinstance(value, list) else [value]
    with fails("InvalidIdentityToken", 400, words):
        federation.assume(forge.says(attributes=attributes))


def test_no_session_name_at_all(federation: Federation, forge: Forge) -> None:
    said = federation.says()
    del said[ATTRIBUTES + "RoleSessionName"]
    with fails("InvalidIdentityToken", 400, "RoleSessionName is required in AuthnResponse"):
        federation.assume(forge.says(attributes=said))


def test_attacks_over_the_wire_are_refused_and_break_nothing(
    federation: Federation, forge: Forge, freehold_server: Any
) -> None:
    before = len(freehold_server.log())
    document = etree.tostring(forge.response(attributes=federation.says()))
    hostile = [forge.encoded(attack(forge)) for attack in ATTACKS]
    hostile += [forge.encoded(prologue + document) for prologue in PROLOGUES.values()]
    for assertion in hostile:
        if len(assertion) <= 100_000:
            with fails("InvalidIdentityToken", 400):
                federation.assume(assertion)
    with fails("ValidationError", 400):
        federation.assume("A" * 100_001)
    assert freehold_server.log()[before:] == ""
    federation.assume(forge.encoded(document))


# Time, and once more


def test_an_old_assertion_and_a_refused_sign_in_have_aws_errors(federation: Federation, forge: Forge) -> None:
    with fails("ExpiredTokenException", 400, "Token must be redeemed within 5 minutes of issuance"):
        federation.assume(forge.says(at=time.time() - 400, attributes=federation.says()))
    with fails("IDPRejectedClaim", 403):
        federation.assume(
            forge.says(attributes=federation.says(), status="urn:oasis:names:tc:SAML:2.0:status:Responder")
        )
    with fails("InvalidIdentityToken", 400):
        federation.assume("AAAA")


def test_an_assertion_is_good_for_several_roles_unless_it_says_otherwise(federation: Federation, forge: Forge) -> None:
    usual = forge.says(attributes=federation.says())
    federation.assume(usual)
    federation.assume(usual)
    once = forge.says(attributes=federation.says(), conditions="<saml:OneTimeUse/>")
    federation.assume(once)
    with fails("InvalidIdentityToken", 400, "used before"):
        federation.assume(once)
    another = forge.says(attributes=federation.says(), conditions="<saml:OneTimeUse/>")
    with fails("ValidationError", 400, "MaxSessionDuration"):
        federation.assume(another, DurationSeconds=43_200)
    federation.assume(another)  # the call that failed used nothing up


def test_new_metadata_holds_at_once(federation: Federation, forge: Forge) -> None:
    following = Forge(forge.entity_id)
    federation.aws.iam.update_saml_provider(
        SAMLProviderArn=federation.provider, SAMLMetadataDocument=following.metadata()
    )
    with fails("InvalidIdentityToken", 400, "Response signature invalid"):
        federation.assume(forge.says(attributes=federation.says()))
    federation.assume(following.says(attributes=federation.says()))


# What is written down


def test_the_trail_shows_who_it_was_and_no_assertion(federation: Federation, forge: Forge) -> None:
    federation.set_trust("sts:TagSession", "sts:SetSourceIdentity")
    said = federation.says(**{"PrincipalTag:Team": "red", "SourceIdentity": "alice"})
    root = forge.response(attributes=said)
    got = federation.assume(forge.encoded(root))
    event = event_of(federation.aws, "AssumeRoleWithSAML")
    assert event["userIdentity"] == {
        "type": "SAMLUser",
        "principalId": f"{got['NameQualifier']}:alice",
        "userName": "alice",
        "identityProvider": got["NameQualifier"],
    }
    asked = event["requestParameters"]
    assert asked["sAMLAssertionID"].startswith("_")
    assert (asked["roleSessionName"], asked["principalTags"]) == ("alice", {"Team": "red"})
    assert asked["sAMLAssertion"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    answered = event["responseElements"]
    assert (answered["subject"], answered["audience"]) == ("alice", ENDPOINT)
    assert got["Credentials"]["SecretAccessKey"] not in json.dumps(event)
    assert got["Credentials"]["SessionToken"] not in json.dumps(event)
    assert event["recipientAccountId"] == federation.aws.account_id
    assert event["readOnly"] is True


def test_a_refused_assertion_is_in_the_trail_of_the_roles_account(federation: Federation, forge: Forge) -> None:
    with fails("InvalidIdentityToken", 400):
        federation.assume(Forge().says(attributes=federation.says()))
    event = event_of(federation.aws, "AssumeRoleWithSAML")
    assert (event["errorCode"], event["userIdentity"]["type"]) == ("InvalidIdentityToken", "SAMLUser")
    federation.set_trust(StringEquals={"saml:sub": "bob"})
    with fails("AccessDenied", 403):
        federation.assume(forge.says(attributes=federation.says()))
    event = event_of(federation.aws, "AssumeRoleWithSAML")
    assert (event["errorCode"], event["userIdentity"]["userName"]) == ("AccessDenied", "alice")


def test_an_assertion_of_an_unknown_provider_is_in_the_trail_of_the_roles_account(
    federation: Federation, forge: Forge
) -> None:
    arn = federation.provider + "-unknown"
    with fails("InvalidIdentityToken", 400):
        federation.assume(forge.says(attributes=federation.says()), PrincipalArn=arn)
    event = event_of(federation.aws, "AssumeRoleWithSAML")
    assert (event["errorCode"], event["requestParameters"]["principalArn"]) == ("InvalidIdentityToken", arn)


def test_whoever_signs_the_request_is_not_asked(federation: Federation, forge: Forge) -> None:
    """Some clients sign it all the same: the session is the assertion's, not the signer's."""
    given = {"RoleArn": federation.role, "PrincipalArn": federation.provider}
    got = federation.aws.sts.assume_role_with_saml(**given, SAMLAssertion=forge.says(attributes=federation.says()))
    assert got["Subject"] == "alice"
    assert event_of(federation.aws, "AssumeRoleWithSAML")["userIdentity"]["type"] == "SAMLUser"


def test_a_token_is_as_long_as_was_asked_at_least(federation: Federation, forge: Forge) -> None:
    made = federation.assume(forge.says(attributes=federation.says()), MinimumSessionTokenSize=4000)
    assert len(made["Credentials"]["SessionToken"]) >= 4000
    assert federation.aws.using(made).sts.get_caller_identity()["Account"] == federation.aws.account_id


def test_a_session_ends_with_its_role(federation: Federation, forge: Forge) -> None:
    session = federation.aws.using(federation.assume(forge.says(attributes=federation.says())))
    assert session.sts.get_caller_identity()["Account"] == federation.aws.account_id
    federation.aws.iam.delete_role(RoleName="reader")
    with fails("InvalidClientTokenId", 403):
        session.sts.get_caller_identity()


def test_a_private_key_is_never_shown(federation: Federation, forge: Forge, tmp_path: Path) -> None:
    pem = forge.key_pem.decode()
    federation.aws.iam.update_saml_provider(SAMLProviderArn=federation.provider, AddPrivateKey=pem)
    inside = serialization.load_pem_private_key(forge.key_pem, None)
    assert inside is not None
    shown = json.dumps(federation.aws.iam.get_saml_provider(SAMLProviderArn=federation.provider), default=str)
    event = json.dumps(event_of(federation.aws, "UpdateSAMLProvider"))
    for line in pem.splitlines()[1:-1]:
        assert line not in shown
        assert line not in event

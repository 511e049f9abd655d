"""Every operation's permissions for a request that gives everything it can: which keys come with which action.

The parameters are made from the operation's model, so that a new operation is driven like the others; `NAMES` says
what exists in the world that is asked.
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freehold.app import App
from freehold.authorization import context_keys
from freehold.authorization.permission import Permission
from freehold.authorization.principal_element import caller
from freehold.config import Settings
from freehold.deployment import create, root_key_of
from freehold.message import Request
from freehold.protocol import models
from freehold.protocol.models import Shape
from freehold.services.call import Call
from freehold.services.cognito_identity.records import Identity, save_identity
from freehold.services.iam.saml_providers import PROVIDERS, SamlProvider
from freehold.services.iam.server_certificates import SERVER_CERTIFICATES, ServerCertificate
from freehold.services.operation import REGISTRY, Operation
from freehold.storage.counters import SharedCounters

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)  # fmt: skip
TAG = {"Key": "team", "Value": "red"}
SERVICES = ("iam", "sts", "kms", "s3", "cloudtrail", "organizations", "cognito-identity")
HEADERS = {"host": "localhost", "user-agent": "tests", "referer": "https://x.example/", "authorization": "AWS4 x",
           "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}  # fmt: skip


class World:
    """An account with one of everything."""

    def __init__(self, directory: Path) -> None:
        settings = Settings(data=directory / "data", root_key=directory / "root-key", movable_clock=True)
        made = create(settings, "test")
        self.account_id = made.account_id
        self.app = App(settings, root_key_of(settings), SharedCounters(), worker=0)
        self.root = self.app.access.lookup(made.root.access_key_id, None).principal
        self.user = self.root
        self._fill()

    def close(self) -> None:
        self.app.close()

    def call(self, name: str, params: dict[str, Any], principal: Any = None, query: str = "") -> Call:
        operation = REGISTRY[name]
        headers = dict(HEADERS)
        if query == PRESIGNED:
            del headers["authorization"]
        request = Request("PUT", "/bucket/key", query, headers, source_ip="203.0.113.7", secure=True, tls_version="1.3")
        context = context_keys.of_request(request, region="us-east-1", now_seconds=self.app.clock.now_seconds())
        made = Call(self.app, request, operation, principal or self.user, "us-east-1", "request", context)
        made.params = params
        return made

    def do(self, name: str, **params: Any) -> dict[str, Any]:
        call = self.call(name, params, self.root)
        call.operation.permissions(call, params)
        if call.operation.prepare is not None:
            asyncio.run(call.operation.prepare(call, params))  # type: ignore[arg-type]

        def work(tx: Any) -> dict[str, Any]:
            call.transaction = tx
            return call.operation.handler(call, params) or {}

        return self.app.records.submit(work).result(10)

    def _fill(self) -> None:
        do = self.do
        arn = f"arn:aws:iam::{self.account_id}:"
        policy_arn = do("iam.CreatePolicy", PolicyName="managed", PolicyDocument=POLICY, Tags=[TAG])["Policy"]["Arn"]
        do("iam.CreateUser", UserName="alice", Tags=[TAG], PermissionsBoundary=policy_arn)
        do("iam.CreateGroup", GroupName="group")
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"{arn}root"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
        do("iam.CreateRole", RoleName="app", AssumeRolePolicyDocument=json.dumps(trust), Tags=[TAG],
           PermissionsBoundary=policy_arn)  # fmt: skip
        do("iam.CreateInstanceProfile", InstanceProfileName="profile", Tags=[TAG])
        access = do("iam.CreateAccessKey", UserName="alice")["AccessKey"]
        self.user = self.app.access.lookup(access["AccessKeyId"], None).principal
        key = do("kms.CreateKey", MultiRegion=True, Tags=[{"TagKey": "team", "TagValue": "red"}])["KeyMetadata"]["Arn"]
        device = do("iam.CreateVirtualMFADevice", VirtualMFADeviceName="device", Tags=[TAG])
        do("iam.CreateOpenIDConnectProvider", Url="https://example.com", ClientIDList=["app"],
           ThumbprintList=["a" * 40], Tags=[TAG])  # fmt: skip
        do("organizations.CreateOrganization", FeatureSet="ALL")
        root_id = do("organizations.ListRoots")["Roots"][0]["Id"]
        unit = do("organizations.CreateOrganizationalUnit", ParentId=root_id, Name="unit", Tags=[TAG])
        limit = do("organizations.CreatePolicy", Content=POLICY, Name="limit", Description="", Tags=[TAG],
                   Type="SERVICE_CONTROL_POLICY")["Policy"]["PolicySummary"]  # fmt: skip
        unit_id = unit["OrganizationalUnit"]["Id"]
        for tagged in (root_id, self.account_id):
            do("organizations.TagResource", ResourceId=tagged, Tags=[TAG])
        provider = SamlProvider(account_id=self.account_id, name="provider", unique_id="ASPX", created_at=1,
                                valid_until=2, idps=[], tags={"team": "red"})  # fmt: skip
        self.app.records.submit(lambda tx: PROVIDERS.put(tx, (self.account_id, "provider"), provider)).result(10)
        pool = do("cognito-identity.CreateIdentityPool", IdentityPoolName="pool", AllowUnauthenticatedIdentities=True,
                  IdentityPoolTags={"team": "red"})["IdentityPoolId"]  # fmt: skip
        credential = do("iam.CreateServiceSpecificCredential", UserName="alice", ServiceName="codecommit.amazonaws.com")
        certificate = ServerCertificate(account_id=self.account_id, name="certificate", path="/", unique_id="ASCX",
                                        uploaded_at=1, expires_at=2, body="", private_key="",
                                        tags={"team": "red"})  # fmt: skip
        self.app.records.submit(
            lambda tx: SERVER_CERTIFICATES.put(tx, (self.account_id, "certificate"), certificate)
        ).result(10)
        person = Identity(identity_id="us-east-1:11111111-2222-3333-4444-555555555555", pool_id=pool, created_at=1,
                          modified_at=1)  # fmt: skip
        self.app.records.submit(lambda tx: save_identity(tx, person, 1.0)).result(10)
        do("kms.CreateAlias", AliasName="alias/used", TargetKeyId=key)
        grant = do("kms.CreateGrant", KeyId=key, GranteePrincipal=f"{arn}role/app", Operations=["Decrypt"],
                   Constraints={"EncryptionContextSubset": {"a": "b"}})  # fmt: skip
        do("s3.CreateBucket", Bucket="bucket", CreateBucketConfiguration={"Tags": [TAG]})
        do("s3.PutBucketAbac", Bucket="bucket", AbacStatus={"Status": "Enabled"})
        self.names: dict[str, Any] = {
            "UserName": "alice", "NewUserName": "alicia", "GroupName": "group", "NewGroupName": "groups",
            "RoleName": "app", "InstanceProfileName": "profile", "PolicyArn": policy_arn,
            "PermissionsBoundary": policy_arn, "AccessKeyId": access["AccessKeyId"], "PolicyName": "inline",
            "PolicyDocument": POLICY, "Path": "/team/", "NewPath": "/team/", "PathPrefix": "/team/",
            "KeyId": key, "TargetKeyId": key, "SourceKeyId": key, "DestinationKeyId": key,
            "AliasName": "alias/used", "CiphertextBlob": b"", "GranteePrincipal": f"{arn}role/app",
            "RetiringPrincipal": f"{arn}role/app", "Bucket": "bucket", "Key": "key", "CopySource": "bucket/key",
            "ExpectedBucketOwner": self.account_id, "ExpectedSourceBucketOwner": self.account_id,
            "RoleArn": f"{arn}role/app", "Name": "name", "Policy": POLICY, "AssumeRolePolicyDocument": POLICY,
            "EncryptionContext": {"Team": "red"}, "TagKeys": ["team"], "AccountId": self.account_id,
            "GrantTokens": [], "GrantId": grant["GrantId"], "TransitiveTagKeys": ["team"], "TagKeyList": ["team"],
            "PolicyId": limit["Id"], "TargetId": unit_id, "ParentId": root_id, "RootId": root_id, "ChildId": unit_id,
            "SourceParentId": root_id, "DestinationParentId": unit_id, "OrganizationalUnitId": unit_id,
            "ResourceId": unit_id, "HandshakeId": "h-0123456789", "ServicePrincipal": "ram.amazonaws.com",
            "ServiceSpecificCredentialId":
                credential["ServiceSpecificCredential"]["ServiceSpecificCredentialId"],
            "IdentityPoolId": pool, "IdentityId": person.identity_id, "IdentityIdsToDelete": [person.identity_id],
            "ResourceArn": f"arn:aws:cognito-identity:us-east-1:{self.account_id}:identitypool/{pool}",
            "SAMLProviderArn": f"{arn}saml-provider/provider", "PrincipalArn": f"{arn}saml-provider/provider",
            "OpenIDConnectProviderArn": f"{arn}oidc-provider/example.com", "Url": "https://example.com",
            "Arn": f"{arn}role/app", "PolicySourceArn": f"{arn}role/app", "ResourceArns": ["*"],
            "ActionNames": ["s3:GetObject"], "ServerCertificateName": "certificate",
            "SerialNumber": device["VirtualMFADevice"]["SerialNumber"],
        }  # fmt: skip

    def parameters(self, operation: Operation, more: dict[str, Any] | None = None) -> dict[str, Any]:
        """Everything that the operation takes; a member of `more` that is None is left out."""
        shape = models.service(operation.service).operations[operation.name].input
        made = {} if shape is None else self._structure(shape, 0)
        made = {name: value for name, value in made.items() if name not in operation.refuses}
        made |= more or {}
        return {name: value for name, value in made.items() if value is not None}

    def _structure(self, shape: Shape, depth: int) -> dict[str, Any]:
        return {
            name: self.names[name] if name in self.names else self._value(member.shape, depth + 1)
            for name, member in shape.members.items()
        }

    def _value(self, shape: Shape, depth: int) -> Any:
        kind = shape.type
        if kind == "structure":
            if set(shape.members) == {"Key", "Value"}:
                return dict(TAG)
            return self._structure(shape, depth) if depth < 5 else {}
        if kind == "list":
            assert shape.member is not None
            return [self._value(shape.member.shape, depth + 1)] if depth < 5 else []
        if kind == "map":
            assert shape.value is not None
            return {"a": self._value(shape.value.shape, depth + 1)}
        if kind in ("integer", "long", "float", "double"):
            return int(shape.min or 1)
        if kind == "boolean":
            return True
        if kind == "timestamp":
            return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        if kind == "blob":
            return b"x"
        return shape.enum[0] if shape.enum else "text"

    def permissions(self, operation: Operation, more: dict[str, Any]) -> Iterator[tuple[Permission, set[str]]]:
        """What the operation asks for, each with all the condition keys that it then has. Raises AwsError."""
        params = self.parameters(operation, more)
        of_caller = context_keys.of_principal(caller(self.user))
        for query, via in (("prefix=&delimiter=&", ()), (PRESIGNED, ()), ("", ("s3",))):
            who = self.root if operation.service == "organizations" else self.user
            call = self.call(f"{operation.service}.{operation.name}", params, who, query=query)
            of_request = context_keys.of_request(call.request, region="us-east-1", now_seconds=0.0, via=via)
            for permission in operation.permissions(call, dict(params)):
                yield permission, {*permission.context, *of_request, *of_caller, *context_keys.COMPUTED}


PRESIGNED = "X-Amz-Algorithm=x&X-Amz-Credential=x&X-Amz-Date=20260101T000000Z"

BY_ALIAS: list[dict[str, Any]] = [{}, {"KeyId": "alias/used", "SourceKeyId": "alias/used",
                                       "DestinationKeyId": "alias/used"}]  # fmt: skip
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "kms.CreateGrant": [
        {
            "GranteeServicePrincipal": None,
            "RetiringServicePrincipal": None,
            "SourceArn": None,
            "SourceAccount": None,
            "Operations": ["Decrypt"],
            "Constraints": {"EncryptionContextSubset": {"a": "b"}},
        },
        {
            "GranteePrincipal": None,
            "RetiringPrincipal": None,
            "GranteeServicePrincipal": "dynamodb.amazonaws.com",
            "RetiringServicePrincipal": "dynamodb.amazonaws.com",
            "Operations": ["Decrypt"],
            "Constraints": {"SourceArn": "arn:aws:dynamodb:us-east-1:111122223333:table/t"},
        },
    ],
    "kms.ListRetirableGrants": [{"RetiringServicePrincipal": None}],
    "kms.RetireGrant": [{"GrantToken": None}],
    "iam.GetServiceLinkedRoleDeletionStatus": [],
    "iam.ListServiceSpecificCredentials": [{"AllUsers": None}],
    "organizations.DescribeEffectivePolicy": [{"TargetId": None}],
    "sts.AssumeRoot": [
        {
            "TargetPrincipal": "111122223333",
            "TaskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"},
        }
    ],
    "sts.AssumeRoleWithSAML": [],
    "sts.AssumeRoleWithWebIdentity": [],
    "cognito-identity.GetCredentialsForIdentity": [],
    "cognito-identity.SetIdentityPoolRoles": [{"Roles": {}, "RoleMappings": {}}],
}
"""Parameters that an operation needs in another way than the model says; none: it is not driven, as it asks for
nothing before it has found what only another call gives."""


@dataclass
class Asked:
    """What all operations asked for: (operation, permission's action and resource) with the keys given."""

    rows: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Operations that asked for nothing, with the reason."""

    @property
    def given(self) -> set[str]:
        return set().union(*self.rows.values())

    @property
    def actions(self) -> set[str]:
        return {action for _, action, _ in self.rows}


def everything_asked(directory: Path) -> Asked:
    found = Asked()
    made = World(directory)
    try:
        for name, operation in sorted(REGISTRY.items()):
            if operation.service not in SERVICES:
                continue
            variants = VARIANTS.get(name, BY_ALIAS if operation.service == "kms" else [{}])
            for more in variants:
                try:
                    for permission, keys in made.permissions(operation, more):
                        at = (name, permission.action, permission.resource)
                        found.rows.setdefault(at, set()).update(keys)
                except Exception as error:  # what needs more than parameters is named in `VARIANTS`
                    found.failed.setdefault(name, f"{type(error).__name__}: {error}")
    finally:
        made.close()
    return found

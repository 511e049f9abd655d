"""A hundred sign-ins whose providers hang, at a live server: everybody else goes on as if nothing were."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa
from hostile import Silent
from test_web_identity import GOOGLE, a_role, anonymous, assume, trust

from freehold.testing import Principal, server

if TYPE_CHECKING:
    from openid_provider import OpenIdProvider

PROVIDERS = 100


def refused(aws: Principal, sts: Any, role: str, name: str, key: Any) -> str:
    now = int(time.time())
    claims = {"iss": f"https://{name}", "sub": "alice", "aud": "app", "iat": now, "exp": now + 600}
    token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k"})
    try:
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="session", WebIdentityToken=token)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "accepted"


def test_providers_that_hang_hold_up_nobody_else(openid_provider: OpenIdProvider, tmp_path: Path) -> None:
    silent = Silent()
    names = [f"idp{number}.example.com" for number in range(PROVIDERS)]
    options = [*openid_provider.options, *(f"--issuer={name}={silent.origin}/{name}" for name in names)]
    with server(options=options) as running:
        aws = running.new_account()
        role = a_role(aws, trust(GOOGLE))
        assert assume(aws, role, openid_provider.id_token("alice"))["Provider"] == GOOGLE
        for name in names:
            aws.iam.create_open_id_connect_provider(
                Url=f"https://{name}", ClientIDList=["app"], ThumbprintList=["00" * 20]
            )
        sts = anonymous(aws)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        with ThreadPoolExecutor(PROVIDERS) as threads:
            began = time.monotonic()
            hanging = [threads.submit(refused, aws, sts, role, name, key) for name in names]
            slowest, calls = 0.0, 0
            while not all(one.done() for one in hanging):
                at = time.monotonic()
                aws.sts.get_caller_identity()
                if calls % 10 == 0:
                    # The keys of a provider that answers are held: its users still sign in.
                    assert assume(aws, role, openid_provider.id_token("bob"))["SubjectFromWebIdentityToken"] == "bob"
                else:
                    slowest = max(slowest, time.monotonic() - at)
                calls += 1
                time.sleep(0.02)
            codes = {one.result() for one in hanging}
        assert codes == {"IDPCommunicationError"}
        assert time.monotonic() - began < 15
        assert calls > 20
        assert slowest < 1.5
        # Each of them is in the trail of the account whose role was asked for.
        found = aws.cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRoleWithWebIdentity"}],
            MaxResults=50,
        )["Events"]
        assert sum(json.loads(one["CloudTrailEvent"]).get("errorCode") == "IDPCommunicationError" for one in found) > 10
        assert running.log() == ""
    silent.close()

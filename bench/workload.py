"""What every server is asked: principals with a handful of policies, keys, objects, and signed requests over them.

Requests are signed before they are replayed, by botocore, each by the next of the principals, with the next of the
keys and the next encryption context.
"""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from bench.peers import Running
from bench.replay import replay

BUCKET, LISTED = "bench-objects", "bench-listed"
ONE_KIB = base64.b64encode(b"p" * 1024).decode()
FOUR_KIB = b"o" * 4096
SETUP_THREADS = 4
SIGNING = {
    "sign_p256": ("ECC_NIST_P256", "ECDSA_SHA_256"),
    "sign_rsa_2048": ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"),
}
"""Case -> key spec and signing algorithm."""
VERIFYING = {"verify_p256": "sign_p256", "verify_rsa_2048": "sign_rsa_2048"}
"""Case -> the case whose signature is verified."""
MESSAGE = base64.b64decode(ONE_KIB)


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _group_policies() -> list[str]:
    """A handful of policies as people have them: some that matter here, more that don't."""
    allow = {"Effect": "Allow", "Resource": "*"}
    tls = {"Bool": {"aws:SecureTransport": "false"}}
    return [
        _policy(
            {
                **allow,
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:GenerateDataKey*",
                    "kms:DescribeKey",
                    "kms:Sign",
                    "kms:Verify",
                ],
            }
        ),
        _policy(
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{LISTED}"},
        ),
        _policy({**allow, "Action": ["ec2:Describe*", "logs:*", "cloudwatch:Get*"], "Condition": {}}),
        _policy({**allow, "Effect": "Deny", "Action": ["iam:*", "organizations:*"], "Condition": tls}),
    ]


@dataclass
class Workload:
    """The fixtures on one server, and the requests over them."""

    server: Running
    principals: list[Credentials]
    keys: list[str]
    ciphertexts: list[str]
    listed: int
    """How many keys the listed bucket has."""
    signers: dict[str, str]
    """Case -> the key that signs in it, of those that the server makes and signs with."""
    signatures: dict[str, str] = field(default_factory=dict)
    """Case -> its key's signature of the message."""

    def serves(self, case: str) -> bool:
        case = VERIFYING.get(case, case)
        return case not in SIGNING or case in self.signers

    def requests(self, case: str, count: int, *, offset: int = 0) -> list[bytes]:
        """`count` signed requests of one case, for the principals from `offset` on."""
        make = getattr(self, f"_{case}")
        return [
            make(number, self.principals[number % len(self.principals)]) for number in range(offset, offset + count)
        ]

    def _caller_identity(self, number: int, who: Credentials) -> bytes:
        return self._form("sts", b"Action=GetCallerIdentity&Version=2011-06-15", who)

    def _encrypt(self, number: int, who: Credentials) -> bytes:
        body = {"KeyId": self._key(number), "Plaintext": ONE_KIB, "EncryptionContext": _context(number)}
        return self._json("TrentService.Encrypt", body, who)

    def _decrypt(self, number: int, who: Credentials) -> bytes:
        which = number % len(self.ciphertexts)
        return self._json(
            "TrentService.Decrypt",
            {"CiphertextBlob": self.ciphertexts[which], "EncryptionContext": _context(which)},
            who,
        )

    def _generate_data_key(self, number: int, who: Credentials) -> bytes:
        body = {"KeyId": self._key(number), "KeySpec": "AES_256", "EncryptionContext": _context(number)}
        return self._json("TrentService.GenerateDataKey", body, who)

    def _sign_p256(self, number: int, who: Credentials) -> bytes:
        return self._sign("sign_p256", who)

    def _sign_rsa_2048(self, number: int, who: Credentials) -> bytes:
        return self._sign("sign_rsa_2048", who)

    def _sign(self, case: str, who: Credentials) -> bytes:
        body = {"KeyId": self.signers[case], "Message": ONE_KIB, "SigningAlgorithm": SIGNING[case][1]}
        return self._json("TrentService.Sign", body, who)

    def _verify_p256(self, number: int, who: Credentials) -> bytes:
        return self._verify("sign_p256", who)

    def _verify_rsa_2048(self, number: int, who: Credentials) -> bytes:
        return self._verify("sign_rsa_2048", who)

    def _verify(self, case: str, who: Credentials) -> bytes:
        body = {"KeyId": self.signers[case], "Message": ONE_KIB, "SigningAlgorithm": SIGNING[case][1]}
        return self._json("TrentService.Verify", {**body, "Signature": self.signatures[case]}, who)

    def _get_4k(self, number: int, who: Credentials) -> bytes:
        return self._s3("GET", f"/{BUCKET}/object-{number % len(self.keys):05}", b"", who)

    def _put_4k(self, number: int, who: Credentials) -> bytes:
        return self._s3("PUT", f"/{BUCKET}/new-{number % len(self.keys):05}", FOUR_KIB, who)

    def _list_1000(self, number: int, who: Credentials) -> bytes:
        after = f"key-{(number * 1000) % max(1, self.listed - 999):06}"
        return self._s3("GET", f"/{LISTED}?list-type=2&max-keys=1000&start-after={after}", b"", who)

    def _key(self, number: int) -> str:
        return self.keys[number % len(self.keys)]

    def _json(self, target: str, body: dict[str, Any], who: Credentials) -> bytes:
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        return self._signed("POST", "/", headers, json.dumps(body).encode(), SigV4Auth(who, "kms", "us-east-1"))

    def _form(self, service: str, body: bytes, who: Credentials) -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return self._signed("POST", "/", headers, body, SigV4Auth(who, service, "us-east-1"))

    def _s3(self, method: str, path: str, body: bytes, who: Credentials) -> bytes:
        return self._signed(method, path, {}, body, S3SigV4Auth(who, "s3", "us-east-1"))

    def _signed(self, method: str, path: str, headers: dict[str, str], body: bytes, signer: SigV4Auth) -> bytes:
        url = self.server.administrator.endpoint + path
        parts = urlsplit(url)
        request = AWSRequest(method, url, headers={"User-Agent": "bench", "Host": parts.netloc, **headers}, data=body)
        signer.add_auth(request)
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body


def _context(number: int) -> dict[str, str]:
    return {"tenant": f"tenant-{number % 1000}", "purpose": "bench"}


def prepare(server: Running, count: int, listed: int) -> Workload:
    """Make `count` principals, keys and objects on the server, and the bucket that is listed."""
    admin = server.administrator
    iam, kms, s3 = (_pooled(admin, service) for service in ("iam", "kms", "s3"))
    iam.create_group(GroupName="bench")
    for number, document in enumerate(_group_policies()):
        made = iam.create_policy(PolicyName=f"bench-{number}", PolicyDocument=document)
        iam.attach_group_policy(GroupName="bench", PolicyArn=made["Policy"]["Arn"])
    own = _policy({"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"})

    def principal(number: int) -> Credentials:
        name = f"bench-{number:05}"
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="bench", UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=own)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def key(number: int) -> str:
        arn: str = kms.create_key()["KeyMetadata"]["Arn"]
        return arn

    def ciphertext(number: int) -> str:
        sealed = kms.encrypt(KeyId=keys[number], Plaintext=b"p" * 1024, EncryptionContext=_context(number))
        return base64.b64encode(sealed["CiphertextBlob"]).decode()

    with ThreadPoolExecutor(SETUP_THREADS) as pool:
        keys = list(pool.map(key, range(count)))
        principals = list(pool.map(principal, range(count)))
        ciphertexts = list(pool.map(ciphertext, range(count)))
        for name in (BUCKET, LISTED):
            s3.create_bucket(Bucket=name)
            rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": keys[0]}
            s3.put_bucket_encryption(
                Bucket=name,
                ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
            )
    load = Workload(server, principals, keys, ciphertexts, listed, *_signers(kms))
    _put_all(load, [f"/{BUCKET}/object-{number:05}" for number in range(count)], FOUR_KIB)
    _put_all(load, [f"/{LISTED}/key-{number:06}" for number in range(listed)], b"listed")
    return load


def _signers(kms: Any) -> tuple[dict[str, str], dict[str, str]]:
    """A key for each signing case and its signature, without those that the server can't do."""
    found, signatures = {}, {}
    for case, (spec, algorithm) in SIGNING.items():
        with suppress(ClientError):
            arn = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
            signed = kms.sign(KeyId=arn, Message=MESSAGE, SigningAlgorithm=algorithm)["Signature"]
            found[case], signatures[case] = arn, base64.b64encode(signed).decode()
    return found, signatures


def _put_all(load: Workload, paths: list[str], body: bytes) -> None:
    """Not by boto3, which waits a second for servers that don't know `Expect: 100-continue`."""
    server = load.server
    who = Credentials(server.administrator.access_key_id, server.administrator.secret_access_key)
    requests = [load._s3("PUT", path, body, who) for path in paths]
    outcome = replay("127.0.0.1", server.port, requests, connections=SETUP_THREADS, server_pid=server.pid)
    if set(outcome.statuses) != {200}:
        raise RuntimeError(f"{server.name} refused objects: {outcome.first_refusal!r}")


def _pooled(admin: Any, service: str) -> Any:
    from botocore.config import Config

    return admin.client(service, config=Config(max_pool_connections=SETUP_THREADS, s3={"addressing_style": "path"}))

"""docs/xks-proxy.md, done as it says with the AWS CLI, and its conditions and patterns held to the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from provider_authority import make_authority

from freehold.authorization.key_names import spelled
from freehold.protocol import xks
from freehold.services.kms_xks_proxy.keys import CONDITION_KEYS
from freehold.testing import Principal, server

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "xks-proxy.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "sh"]


def _profile(name: str, who: Principal) -> str:
    return (
        # What version 1 of the CLI needs, as the page says.
        f"[profile {name}]\ncli_follow_urlparam = false\nregion = us-east-1\nendpoint_url = {who.endpoint}\n"
        f"aws_access_key_id = {who.access_key_id}\naws_secret_access_key = {who.secret_access_key}\n"
    )


@pytest.mark.slow
def test_the_steps_of_the_page_lead_to_a_key_that_works(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "xks.example.com")
    words = [f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}"]
    with server(options=words, ca_bundle=str(authority.bundle)) as home:
        port = home.endpoint.rpartition(":")[2]
        places = [f"--xks-resolve=xks.example.com=127.0.0.1:{port}", f"--xks-ca={authority.bundle}"]
        with server(options=[*places, "--xks-timeout-ms=2000"]) as cloud:
            there = cloud.new_account()
            config = tmp_path / "config"
            config.write_text(_profile("home", home.new_account()) + _profile("aws", there))
            programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            environment = {
                "PATH": programs,
                "HOME": str(tmp_path),
                "AWS_CONFIG_FILE": str(config),
                "LANG": "C.UTF-8",
                "AWS_CA_BUNDLE": str(authority.bundle),
                "AWS_PAGER": "",
                "AWS_MAX_ATTEMPTS": "1",
            }

            def run(script: str) -> str:
                done = subprocess.run(
                    ["bash", "-euc", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
                )
                assert done.returncode == 0, done.stderr
                return done.stdout

            key_id = run(SHELL[0]).split()[-1]
            assert set(json.loads((tmp_path / "credential.json").read_text())) == {"AccessKeyId", "RawSecretAccessKey"}
            assert (tmp_path / "credential.json").stat().st_mode & 0o077 == 0
            create, connect, make = re.split(r"\n(?=aws kms connect|aws kms create-key)", SHELL[1])
            store = json.loads(run(create))["CustomKeyStoreId"]
            profile = "export AWS_PROFILE=aws\n"
            run(profile + connect.replace("cks-…", store))
            deadline = time.monotonic() + 10
            while there.kms.describe_custom_key_stores()["CustomKeyStores"][0]["ConnectionState"] != "CONNECTED":
                assert time.monotonic() < deadline
                time.sleep(0.05)
            made = run(profile + make.replace("cks-…", store).replace("KEY-ID-FROM-HOME", key_id))
            key = json.loads(made)["KeyMetadata"]["KeyId"]
            blob = there.kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
            assert there.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def test_the_page_names_every_condition_key_as_denials_spell_it() -> None:
    named = set(re.findall(r"freehold:Xks\w+", PAGE))
    assert {name.lower() for name in named} == set(CONDITION_KEYS.values())
    assert {spelled(name) for name in CONDITION_KEYS.values()} == named
    other_page = (ROOT / "docs" / "condition-keys.md").read_text()
    assert named == set(re.findall(r"freehold:Xks\w+", other_page))


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/kms/xks/v1/health",
            "/us-east-1/kms/xks/v1/keys/a-b_c.D/encrypt",
            "/us-east-1/n/kms/xks/v1/keys/k/metadata",
        ),
        *("/", "/us-east-1/kms/xks/v1/healthy", "/us-east-1/kms/xks/v1/%68ealth", "/../kms/xks/v1/health"),
        *("/kms/xks/v1/keys/k/delete", "/kms/xks/v1/keys//decrypt", "//kms/xks/v1/health", "/a.b/kms/xks/v1/health"),
        "/bucket/object",
    ],
)
def test_the_reverse_proxy_lets_through_just_what_the_proxy_takes(path: str) -> None:
    (pattern,) = re.findall(r'\$request_uri !~ "(.*?)"\)', PAGE)
    assert (re.search(pattern, path) is not None) == (xks.split(path) is not None)
    assert re.search(pattern, path + "?Action=ListUsers") is None


def test_the_policy_of_the_page_is_one() -> None:
    (policy,) = [json.loads(text) for language, text in BLOCKS if language == "json"]
    assert policy["Effect"] == "Deny"

"""The AWS CLI's way to an MFA device, from its seed in a file to a session with MFA."""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clients_programs import environment_of, run, succeed
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

AWS = (sys.executable, str(Path(sys.executable).with_name("aws")))


@pytest.mark.parametrize("freehold_server", ["https"], indirect=True)
def test_a_device_is_set_up_and_used_with_the_cli(aws: Any, home: Path, tmp_path: Path) -> None:
    def cli(who: Any, *words: str) -> Any:
        said = succeed(*AWS, *words, "--output", "json", environment=environment_of(who, home), directory=tmp_path)
        return json.loads(said) if said else None

    only_with_mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    allowed = {"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": only_with_mfa}
    ada = aws.new_user("ada", {"Version": "2012-10-17", "Statement": allowed})
    name = ("--virtual-mfa-device-name", "ada")
    made = cli(
        aws, "iam", "create-virtual-mfa-device", *name, "--outfile", "seed", "--bootstrap-method", "Base32StringSeed"
    )
    serial = ("--serial-number", made["VirtualMFADevice"]["SerialNumber"])
    codes = HOTP(base64.b32decode((tmp_path / "seed").read_bytes()), 6, SHA1())
    step = int(time.time()) // 30
    two = ("--authentication-code1", codes.generate(step - 1).decode())
    two += ("--authentication-code2", codes.generate(step).decode())
    cli(aws, "iam", "enable-mfa-device", "--user-name", "ada", *serial, *two)
    assert cli(aws, "iam", "list-mfa-devices", "--user-name", "ada")["MFADevices"][0]["SerialNumber"] == serial[1]
    session = cli(ada, "sts", "get-session-token", *serial, "--token-code", codes.generate(step + 1).decode())
    assert cli(ada.using(session), "iam", "list-users")["Users"][0]["UserName"] == "ada"
    again = ("sts", "get-session-token", *serial, "--token-code", codes.generate(step + 1).decode())
    done = run(*AWS, *again, environment=environment_of(ada, home))
    assert "(AccessDenied)" in done.stderr
    assert "invalid MFA one time pass code" in done.stderr
    spare = ("--virtual-mfa-device-name", "spare", "--outfile", "spare.png", "--bootstrap-method", "QRCodePNG")
    cli(aws, "iam", "create-virtual-mfa-device", *spare)
    assert (tmp_path / "spare.png").read_bytes().startswith(b"\x89PNG")

"""A JavaScript program without keys gets its role's credentials from the instance metadata service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clients_programs import succeed
from test_javascript import HERE, node

__all__ = ["node"]
INSTANCE = "i-0a1b2c3d4e5f60718"
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
}


@pytest.mark.parametrize("freehold_server", ["http"], indirect=True)
def test_the_sdk_finds_its_role_by_itself(node: str, freehold_server: Any, aws: Any, home: Path) -> None:
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps(TRUST))
    profile = aws.iam.create_instance_profile(InstanceProfileName="web")["InstanceProfile"]["Arn"]
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    operator = freehold_server.operator
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": operator.access_key_id, "AWS_SECRET_ACCESS_KEY": operator.secret_access_key}
    command = [sys.executable, "-m", "freehold", "instance-metadata", "--instance-profile", profile, "--json"]
    command += ["--endpoint", freehold_server.endpoint, "--instance-id", INSTANCE, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean | keys) as service:
        assert service.stdout is not None
        try:
            found = json.loads(service.stdout.readline())["endpoint"]
            workload = {
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": freehold_server.endpoint,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": found,
            }
            said = succeed(node, str(HERE / "workload.mjs"), environment=workload)
        finally:
            service.send_signal(signal.SIGTERM)
    assert said.strip() == f"arn:aws:sts::{aws.account_id}:assumed-role/web/{INSTANCE}"

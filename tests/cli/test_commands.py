"""The commands, as a person or a program runs them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold import __version__
from freehold.testing import Server


def freehold(*words: str, home: Path | None = None, text: str | None = None, **environment: str) -> Any:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FREEHOLD_"))}
    if home is not None:
        variables["HOME"] = str(home)
        variables.pop("XDG_DATA_HOME", None)
    return subprocess.run(
        [sys.executable, "-m", "freehold", *words],
        capture_output=True,
        text=True,
        input=text,
        env={**variables, **environment},
    )


def test_the_version_is_the_packages() -> None:
    assert freehold("--version").stdout == f"freehold {__version__}\n"


def test_the_clock_moves_by_days(freehold_server: Server, tmp_path: Path) -> None:
    operator = freehold_server.operator
    keys = {"AWS_ACCESS_KEY_ID": operator.access_key_id, "AWS_SECRET_ACCESS_KEY": operator.secret_access_key}
    words = ("advance-clock", "--endpoint", freehold_server.endpoint, "--json")
    before = json.loads(freehold(*words, "0", home=tmp_path, **keys).stdout)
    after = json.loads(freehold(*words, "0.5", home=tmp_path, **keys).stdout)
    assert after["ahead_seconds"] - before["ahead_seconds"] in (43_199, 43_200, 43_201)


def test_init_prints_one_object_with_both_key_pairs(tmp_path: Path) -> None:
    done = freehold("init", f"--data={tmp_path / 'd'}", "--json")
    made = json.loads(done.stdout)
    assert {"account_id", "access_key_id", "secret_access_key", "operator"} <= set(made)
    assert set(made["operator"]) == {"access_key_id", "secret_access_key"}
    assert len(made["account_id"]) == 12
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "d.root-key").stat().st_mode) == 0o600


def test_init_in_words_shows_the_secret_once_and_what_comes_next(tmp_path: Path) -> None:
    done = freehold("init", f"--data={tmp_path / 'd'}")
    assert done.stdout.count("AWS_SECRET_ACCESS_KEY=") == 2
    assert f"freehold serve --data {tmp_path / 'd'}" in done.stdout


def test_init_writes_profiles_that_aws_tools_read(tmp_path: Path) -> None:
    done = freehold("init", f"--data={tmp_path / 'd'}", "--json", "--profile=fh", "--region=eu-west-1", home=tmp_path)
    made = json.loads(done.stdout)
    credentials = (tmp_path / ".aws" / "credentials").read_text()
    assert f"[fh]\naws_access_key_id = {made['access_key_id']}\n" in credentials
    assert made["operator"]["secret_access_key"] in credentials
    assert "[profile fh]\nregion = eu-west-1\n" in (tmp_path / ".aws" / "config").read_text()
    assert stat.S_IMODE((tmp_path / ".aws" / "credentials").stat().st_mode) == 0o600


def test_init_makes_nothing_over_something(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine").write_text("mine")
    done = freehold("init", f"--data={tmp_path / 'd'}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_init_keeps_the_root_key_out_of_the_data(tmp_path: Path) -> None:
    done = freehold("init", f"--data={tmp_path / 'd'}", f"--root-key={tmp_path / 'd' / 'key'}")
    assert done.returncode == 1
    assert "must not lie in the data directory" in done.stderr


def test_account_create_is_the_operators(freehold_server: Server, tmp_path: Path) -> None:
    operator = freehold_server.operator
    keys = {"AWS_ACCESS_KEY_ID": operator.access_key_id, "AWS_SECRET_ACCESS_KEY": operator.secret_access_key}
    words = ("account", "create", "second", "--endpoint", freehold_server.endpoint)
    made = json.loads(freehold(*words, "--json", home=tmp_path, **keys).stdout)
    assert set(made) == {"account_id", "access_key_id", "secret_access_key"}
    shown = freehold("account", "list", "--endpoint", freehold_server.endpoint, "--json", home=tmp_path, **keys)
    assert made["account_id"] in [each["account_id"] for each in json.loads(shown.stdout)]

    root = {"AWS_ACCESS_KEY_ID": made["access_key_id"], "AWS_SECRET_ACCESS_KEY": made["secret_access_key"]}
    refused = freehold(*words, home=tmp_path, **root)
    assert refused.returncode == 1
    assert "AccessDenied" in refused.stderr
    assert "freehold:CreateAccount" in refused.stderr


def test_account_create_without_credentials_is_one_line(freehold_server: Server, tmp_path: Path) -> None:
    words = ("account", "create", "x", "--endpoint", freehold_server.endpoint)
    done = freehold(*words, home=tmp_path, AWS_EC2_METADATA_DISABLED="true")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_status_of_a_server_and_of_its_directory(freehold_server: Server, tmp_path: Path) -> None:
    operator = freehold_server.operator
    keys = {"AWS_ACCESS_KEY_ID": operator.access_key_id, "AWS_SECRET_ACCESS_KEY": operator.secret_access_key}
    running = json.loads(
        freehold("status", "--endpoint", freehold_server.endpoint, "--json", home=tmp_path, **keys).stdout
    )
    assert running["regions"] == ["us-east-1"]
    assert running["accounts"] >= 1
    directory = json.loads(freehold("status", f"--data={freehold_server.data}", "--json").stdout)
    assert directory["served"] is True


def test_audit_verify_beside_a_running_server(freehold_server: Server) -> None:
    freehold_server.account.sts.get_caller_identity()
    done = freehold("audit", "verify", f"--data={freehold_server.data}", "--json")
    found = json.loads(done.stdout)
    assert (found["ok"], found["problems"], done.returncode) == (True, [], 0)
    assert found["events"] > 0


CASE = {
    "name": "reads",
    "request": {
        "principal": "arn:aws:iam::111122223333:user/u",
        "action": "s3:GetObject",
        "resource": "arn:aws:s3:::b/k",
    },
    "policies": {
        "identity": [
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}],
            }
        ]
    },
    "account_of_resource": "111122223333",
    "expect": "allow",
}


@pytest.mark.parametrize("data", [[CASE], {"cases": [CASE], "about": "ignored"}])
def test_policy_test_passes_what_holds(data: Any, tmp_path: Path) -> None:
    (tmp_path / "cases.json").write_text(json.dumps(data))
    done = freehold("policy", "test", str(tmp_path / "cases.json"), "--json")
    assert done.returncode == 0
    (result,) = json.loads(done.stdout)
    assert (result["name"], result["expect"], result["got"]) == ("reads", "allow", "allow")
    assert set(result) == {"name", "expect", "got", "why"}


def test_policy_test_explains_what_fails(tmp_path: Path) -> None:
    done = freehold("policy", "test", "-", text=json.dumps([{**CASE, "expect": "implicitDeny"}]))
    assert done.returncode == 1
    assert "reads" in done.stdout
    assert "0 of 1 cases passed" in done.stdout


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"cases": 3}', '[{"name": "x"}]'])
def test_policy_test_refuses_what_are_no_cases_in_one_line(text: str) -> None:
    done = freehold("policy", "test", "-", text=text)
    assert done.returncode == 1
    assert done.stderr.startswith("freehold: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [(), ("init",), ("serve",), ("status",), ("demo",), ("operations",), ("account", "create"), ("account", "list"),
     ("policy", "test"), ("audit", "verify")],
)  # fmt: skip
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    done = freehold(*words, "--help")
    assert done.returncode == 0
    assert not words or "freehold " + " ".join(words) in done.stdout.partition("Usage:")[2].partition("\n")[2]

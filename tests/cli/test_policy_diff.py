"""`freehold policy diff`: its table, its JSON and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "freehold", "policy", "diff", *words], capture_output=True, text=True, timeout=60
    )


def written(directory: Path, name: str, content: Any) -> str:
    (directory / name).write_text(json.dumps(content))
    return str(directory / name)


def reading(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions, "Resource": "*"}}


def test_a_difference_is_told_with_status_1(tmp_path: Path) -> None:
    before = written(tmp_path, "a.json", reading("s3:GetObject"))
    after = written(tmp_path, "b.json", reading("s3:PutObject"))
    done = run(before, after)
    assert done.returncode == 1
    assert "1 opened, 1 closed" in done.stdout
    asked = "s3:PutObject on sample:Anything by arn:aws:iam::111122223333:user/someone (generated 2)"
    assert f"opens  {asked}\n       implicitDeny → allow: no identity-based policy allows" in done.stdout
    told = json.loads(run(before, after, "--json").stdout)
    assert [(one["change"], one["action"]) for one in told["differences"]] == [
        ("opens", "s3:PutObject"),
        ("closes", "s3:GetObject"),
    ]


def test_no_difference_is_status_0_and_a_bad_file_status_2(tmp_path: Path) -> None:
    before = written(tmp_path, "a.json", reading("s3:GetObject"))
    request = {"principal": "arn:aws:iam::111122223333:user/u", "action": "s3:GetObject", "resource": "*"}
    cases = written(tmp_path, "cases.json", [{"name": "read", "request": request}])
    after = written(tmp_path, "b.json", reading("s3:GetObject", "s3:PutObject"))
    assert run(before, after, "--requests", cases).returncode == 0
    for words in ((before, str(tmp_path / "none")), (before, after, "--requests", before), (before, cases)):
        refused = run(*words)
        assert refused.returncode == 2
        assert refused.stderr.startswith("freehold: ")
        assert refused.stderr.count("\n") == 1

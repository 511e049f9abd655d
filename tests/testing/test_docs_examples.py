"""The examples in the documentation run as they stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import freehold

ROOT = Path(freehold.__file__).parent.parent


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_pytest_examples_pass(tmp_path: Path) -> None:
    readme, page = _blocks("README.md", "python")[0], _blocks("docs/testing.md", "python")[0]
    (tmp_path / "test_page.py").write_text(page)
    (tmp_path / "test_readme.py").write_text(
        "import pytest\nfrom botocore.exceptions import ClientError\n\n\n" + readme
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "2 passed" in done.stdout, done.stdout


def test_the_context_manager_example_runs() -> None:
    (example,) = [block for block in _blocks("docs/testing.md", "python") if "freehold.testing.server(" in block]
    subprocess.run([sys.executable, "-c", example], check=True)


def test_the_policy_case_example_passes(tmp_path: Path) -> None:
    (cases,) = _blocks("docs/testing.md", "json")
    (tmp_path / "cases.json").write_text(cases)
    done = subprocess.run(
        [sys.executable, "-m", "freehold", "policy", "test", str(tmp_path / "cases.json"), "--json"],
        capture_output=True,
        text=True,
    )
    assert [each["got"] for each in json.loads(done.stdout)] == ["implicitDeny"]


def test_the_readme_names_files_and_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
    assert {"demo", "test", "run"} <= set(re.findall(r"bootstrap\.py (\w+)", text))


def test_no_lock_file_names_a_registry() -> None:
    for path in ROOT.rglob("*lock*"):
        if path.suffix in (".lock", ".json") and ".venv" not in path.parts and "node_modules" not in path.parts:
            assert not re.search(r"https?://[^\s]*(pypi|npmjs|registry|pythonhosted)", path.read_text()), path

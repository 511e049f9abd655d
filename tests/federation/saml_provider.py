"""A SAML identity provider (`samlify`, in Node) that signs, and encrypts, real responses for AWS.

    provider.response("alice", attributes={...})        # base64, as a browser would post it

Its packages are installed once, from the lock file, into a folder that git ignores.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from openid_provider import installed
from saml_forge import Forge

HERE = Path(__file__).with_name("saml_provider")


class SamlProvider:
    """`metadata` is its metadata document, `entity_id` its name."""

    def __init__(self, directory: Path, entity_id: str = "https://idp.example.com/samlify") -> None:
        node = installed(HERE)
        keys = Forge(entity_id)
        key, certificate = directory / "saml.key", directory / "saml.pem"
        key.write_bytes(keys.key_pem)
        certificate.write_bytes(keys.certificate_pem)
        self.entity_id = entity_id
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [node, str(HERE / "provider.mjs"), str(key), str(certificate), entity_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.metadata: str = self._answer()["metadata"]

    def response(self, subject: str, **wanted: Any) -> str:
        """A signed response. `wanted` is what provider.mjs takes."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"subject": subject, **wanted}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "response" in answer, answer
        return str(answer["response"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self._log.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # samlify writes its warnings there too.
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        self._log.seek(0)
        raise RuntimeError(f"the provider ended: {self._log.read()}")

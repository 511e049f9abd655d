"""A certified OpenID provider (`oidc-provider`, in Node), on this machine over TLS, and a person who signs in to it.

    token = provider.id_token("alice", client_id="app")      # by the authorization-code flow

Its packages are installed once, from the lock file, into a folder that git ignores.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

import pytest
from provider_authority import Authority, make_authority

HERE = Path(__file__).with_name("provider")
CALLBACK = "https://app.example.com/callback"
INSTALLATION_SECONDS = 300
START_SECONDS = 30
_SECRET = "a secret of the tests, long enough for an HMAC of 512 bits: 0123456789abcdef"
_FORM = re.compile(r'<form[^>]*action="([^"]+)"[^>]*>.*?name="prompt" value="(\w+)"', re.DOTALL)


class OpenIdProvider:
    """`issuer` is its URL, `authority` who signed its certificate (`authority.bundle`: PEM, for `--issuer-ca`).

    Clients: `app`, `other-app`, `brief-app` (tokens last two seconds), `app-ES256` … by signing algorithm.
    """

    def __init__(self, directory: Path) -> None:
        node = installed()
        self.authority: Authority = make_authority(directory)
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [node, str(HERE / "provider.mjs"), str(self.authority.certificate), str(self.authority.key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.issuer: str = self._answer()["issuer"]

    @property
    def options(self) -> list[str]:
        """The words for `freehold serve` that make it accounts.google.com, and `idp.example.com` as well."""
        return [
            f"--issuer=accounts.google.com={self.issuer}",
            f"--issuer=idp.example.com={self.issuer}",
            f"--issuer-ca={self.authority.bundle}",
        ]

    def id_token(self, subject: str, *, client_id: str = "app", nonce: str | None = None) -> str:
        """An ID token: the person signs in, consents, and the application redeems its code."""
        browser = _Browser(self.authority.bundle)
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "state": secrets.token_hex(8),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if nonce is not None:
            asked["nonce"] = nonce
        landed, page = browser.open(f"{self.issuer}/auth?{urllib.parse.urlencode(asked)}")
        while not landed.startswith(CALLBACK):
            form = _FORM.search(page)
            assert form is not None, page
            filled = {"prompt": form[2], "login": subject, "password": "any"}
            landed, page = browser.open(urllib.parse.urljoin(landed, form[1]), filled)
        said = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(landed).query))
        assert said.get("state") == asked["state"], said
        redeemed = {
            "grant_type": "authorization_code",
            "code": said["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
        }
        quoted = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(_SECRET)}"
        _, answer = browser.open(f"{self.issuer}/token", redeemed, basic=quoted)
        token: str = json.loads(answer)["id_token"]
        return token

    def set_claims(self, subject: str, **claims: Any) -> None:
        """What further ID tokens of a person hold: `azp`, `amr`, and AWS's session tags and source identity."""
        self._ask({"do": "claims", "subject": subject, "claims": claims})

    def rotate(self, *, keep: bool = False) -> None:
        """Sign with other keys from now on; with `keep`, the old ones stay published. Not with the shared provider."""
        self._ask({"do": "rotate", "keep": keep})

    def keys(self) -> dict[str, Any]:
        """The published key set."""
        _, page = _Browser(self.authority.bundle).open(f"{self.issuer}/jwks")
        found: dict[str, Any] = json.loads(page)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(START_SECONDS)
        self._process.stdout.close()
        self._log.close()

    def _ask(self, wanted: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"the provider ended: {self._log.read()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class _StopAtCallback(urllib.request.HTTPRedirectHandler):
    """Follows redirects as a browser does, as far as the application's own address."""

    def redirect_request(self, request: Any, file: Any, code: int, message: str, headers: Any, url: str) -> Any:
        if url.startswith(CALLBACK):
            raise _Landed(url)
        return urllib.request.Request(url, headers={"User-Agent": "tests"})


class _Landed(Exception):
    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)


class _Browser:
    """Keeps cookies and follows redirects."""

    def __init__(self, bundle: Path) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(bundle))),
            urllib.request.HTTPCookieProcessor(),
            _StopAtCallback(),
        )

    def open(self, url: str, form: dict[str, str] | None = None, *, basic: str = "") -> tuple[str, str]:
        """Where one lands, and the page."""
        body = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data=body)
        if basic:
            request.add_header("Authorization", "Basic " + base64.b64encode(basic.encode()).decode())
        try:
            with self._opener.open(request, timeout=START_SECONDS) as answer:
                return answer.url, answer.read().decode()
        except _Landed as landed:
            return landed.url, ""


def installed(folder: Path = HERE) -> str:
    """The path of node, with the packages of a provider beside its script."""
    node, npm = _required("node", "nodejs"), _required("npm", "npm")
    mark = folder / "node_modules" / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with (folder / "package.json").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != wanted:
            words = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=INSTALLATION_SECONDS)
            if done.returncode:
                _missing(f"npm could not install the packages: {done.stderr[-2000:]}")
            mark.write_text(wanted)
    return node


def _required(name: str, package: str) -> str:
    found = shutil.which(name)
    return found if found is not None else _missing(f"{name} is not installed (Debian package {package})")


def _missing(what: str) -> NoReturn:
    """Without it the test is skipped, but not in CI, which has to install it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)

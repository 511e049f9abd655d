"""A SoftHSM with one token, for the custody of root keys."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "84721936"

_MAKE_RSA = """
import pkcs11, sys
from pkcs11 import Attribute
token = pkcs11.lib(sys.argv[1]).get_token(token_label="freehold")
with token.open(rw=True, user_pin=sys.argv[2]) as session:
    session.generate_keypair(pkcs11.KeyType.RSA, 2048, label="rsa", store=True)
    session.generate_key(pkcs11.KeyType.AES, 256, label="leaves", store=True,
                         template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False})
"""


class Hsm:
    def __init__(self, directory: Path) -> None:
        (directory / "tokens").mkdir()
        configuration = directory / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {directory / 'tokens'}\nlog.level = ERROR\n")
        self.environment = {"SOFTHSM2_CONF": str(configuration)}
        self.uri = f"pkcs11:token=freehold?module-path={MODULE}"
        self.tokens = directory / "tokens"
        whole = {**os.environ, **self.environment}
        words = ("--init-token", "--free", "--label=freehold", "--so-pin=12345678", f"--pin={PIN}")
        subprocess.run(["softhsm2-util", *words], env=whole, check=True, capture_output=True)
        subprocess.run([sys.executable, "-c", _MAKE_RSA, MODULE, PIN], env=whole, check=True)

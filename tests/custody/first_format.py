"""A deployment as the first version of Freehold made it: no custody file, the sealing keys are the root key's own."""

from __future__ import annotations

import hashlib
import json
import shutil

from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.crypto.root_key import RootKey
from freehold.services.iam import accounts
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords
from freehold.testing import Server


def as_first_format(server: Server) -> Server:
    """Make the (never started) server's directory anew, in the first format."""
    settings = Settings(data=server.data, root_key=server.root_key)
    shutil.rmtree(settings.data)
    settings.data.mkdir(mode=0o700)
    settings.root_key.unlink()
    root_key = RootKey.create(settings.root_key)
    sealer = Sealer(root_key.sealing_key("records"))
    records = SqliteRecords(settings.data, root_key.sealing_key("pages"), sealer, SharedCounters())
    account, operator = records.submit(
        lambda tx: (accounts.create_account(tx, "main"), accounts.create_operator(tx))
    ).result()
    records.close()
    line = f"freehold-data-1 {root_key.fingerprint()}"
    settings.deployment.write_text(f"{line}\n{hashlib.sha256(line.encode()).hexdigest()}\n")
    server._made = json.loads(
        json.dumps(
            {
                "account_id": account.account_id,
                "access_key_id": account.access_key_id,
                "secret_access_key": account.secret_access_key,
                "operator": {
                    "access_key_id": operator.access_key_id,
                    "secret_access_key": operator.secret_access_key,
                },
            }
        )
    )
    return server

"""Changes of keys and grants hold at once in every worker process."""

from __future__ import annotations

from typing import Any

import freehold.testing


def test_what_one_worker_changes_holds_in_the_others_at_once(refused: Any) -> None:
    with freehold.testing.server(workers=2) as server:
        aws = server.new_account()
        user = aws.new_user("user")
        # Each client has connections of its own, which the workers share out among them.
        clients = [aws.client("kms") for _ in range(8)]
        key = aws.kms.create_key()["KeyMetadata"]["Arn"]
        blob = clients[0].encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
        for number in range(8):
            clients[number].disable_key(KeyId=key)
            for client in clients:
                with refused("DisabledException"):
                    client.decrypt(CiphertextBlob=blob)
            clients[-number].enable_key(KeyId=key)
            for client in clients:
                assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
        users = [user.client("kms") for _ in range(8)]
        arn = f"arn:aws:iam::{aws.account_id}:user/user"
        for number in range(4):
            given = clients[number].create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])
            for client in users:
                client.encrypt(KeyId=key, Plaintext=b"text")
            clients[-number].revoke_grant(KeyId=key, GrantId=given["GrantId"])
            for client in users:
                with refused("AccessDeniedException"):
                    client.encrypt(KeyId=key, Plaintext=b"text")

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


def test_what_related_keys_share_is_the_same_in_every_worker_and_region_at_once() -> None:
    regions = ("us-east-1", "eu-west-1")
    with freehold.testing.server(workers=2, regions=regions) as server:
        aws = server.new_account()
        key = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        aws.kms.replicate_key(KeyId=key, ReplicaRegion=regions[1])
        clients = {region: [aws.in_region(region).client("kms") for _ in range(8)] for region in regions}
        for number in range(6):
            here, there = regions[number % 2], regions[(number + 1) % 2]
            clients[here][number].rotate_key_on_demand(KeyId=key)
            blob = clients[here][-number].encrypt(KeyId=key, Plaintext=b"text")
            current = clients[here][0].describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
            for client in clients[there]:
                opened = client.decrypt(CiphertextBlob=blob["CiphertextBlob"])
                assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"text", current)
                assert client.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == current
            clients[here][number].update_primary_region(KeyId=key, PrimaryRegion=there)
            for client in (*clients[here], *clients[there]):
                relation = client.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
                assert relation["PrimaryKey"]["Region"] == there

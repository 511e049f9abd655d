"""Every cell of the key state table, against AWS's page. That operations obey it is in test_kms_states_reached.py."""

from __future__ import annotations

import botocore.session
import pytest
from kms_key_state_page import ORIGINS, ORIGINS_OF_STATE, ROWS, expected

from freehold.errors import AwsError
from freehold.services.kms import states
from freehold.services.kms.records import Key

CELLS = [
    (operation, state, origin)
    for operation, row in ROWS.items()
    for state in row
    for origin in ORIGINS_OF_STATE.get(state, ORIGINS)
]

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def key_in(state: str, origin: str) -> Key:
    return Key(
        key_id=ARN.rpartition("/")[2],
        account_id="111122223333",
        region="us-east-1",
        created_at=0.0,
        policy="",
        state=state,
        origin=origin,
    )


def test_a_cell_of_the_table() -> None:
    wrong = []
    for operation, state, origin in CELLS:
        answer = None
        try:
            states.admit(operation, key_in(state, origin))
        except AwsError as error:
            answer = (error.code, error.message.removeprefix(f"{ARN} "))
        if answer != expected(operation, state, origin):
            wrong.append((operation, state, origin, answer))
    assert wrong == []
    assert len(CELLS) > 800


def test_the_page_and_the_table_have_the_same_rows() -> None:
    assert set(ROWS) == set(states.TABLE)


def test_every_operation_of_the_model_that_names_a_key_has_a_row() -> None:
    model = botocore.session.Session().get_service_model("kms")
    naming = {
        name
        for name in model.operation_names
        if {"KeyId", "TargetKeyId", "DestinationKeyId", "AliasName"}
        & set(model.operation_model(name).input_shape.members)
    }
    assert naming == set(ROWS)


def test_an_operation_without_a_row_is_never_let_through() -> None:
    with pytest.raises(KeyError):
        states.check("Smelt", "Enabled", ARN)


def test_a_key_to_be_deleted_stays_so_while_its_store_is_away() -> None:
    assert states.with_store("Enabled", connected=True) == "Enabled"
    assert states.with_store("Enabled", connected=False) == "Unavailable"
    assert states.with_store("Disabled", connected=False) == "Unavailable"
    assert states.with_store("PendingDeletion", connected=False) == "PendingDeletion"

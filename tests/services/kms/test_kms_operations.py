"""Every operation of the model is either served or refused with a reason."""

from __future__ import annotations

from freehold.protocol import models
from freehold.services import kms
from freehold.services import operation as operations
from freehold.services.kms import states


def test_each_operation_of_the_model_is_served_or_has_a_reason_why_not() -> None:
    operations.load("kms")
    served = {name.removeprefix("kms.") for name in operations.REGISTRY if name.startswith("kms.")}
    assert served | set(kms.NOT_IMPLEMENTED) == set(models.service("kms").operations)
    assert not served & set(kms.NOT_IMPLEMENTED)


def test_each_served_operation_on_a_key_has_its_row_in_the_state_table() -> None:
    operations.load("kms")
    served = {name.removeprefix("kms.") for name in operations.REGISTRY if name.startswith("kms.")}
    without_a_key = {"CreateKey", "GenerateRandom", "ListKeys", "ListRetirableGrants"}
    on_stores = {name for name in served if name.endswith(("CustomKeyStore", "CustomKeyStores"))}
    assert served - without_a_key - on_stores == set(states.TABLE)


def test_members_that_are_refused_are_members() -> None:
    operations.load("kms")
    for name, operation in operations.REGISTRY.items():
        if name.startswith("kms."):
            shape = models.service("kms").operations[operation.name].input
            assert shape is not None
            assert operation.refuses <= set(shape.members)

"""KMS: keys whose use is authorized, whose state reaches the data, and whose material is nowhere in the clear."""

NOT_IMPLEMENTED: dict[str, str] = {}
"""Operation of the model -> why it is answered with NotImplemented."""

_ATTESTED = (
    "answers for attested recipients need AWS's Nitro hardware, whose attestation documents are not verified here"
)

REFUSED = {
    f"{name}.Recipient": _ATTESTED
    for name in ("Decrypt", "DeriveSharedSecret", "GenerateDataKey", "GenerateDataKeyPair", "GenerateRandom")
}
"""Parameter of an operation -> why it isn't served."""

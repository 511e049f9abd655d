"""The errors of the XKS Proxy API that are raised here: names and statuses are the specification's."""

from __future__ import annotations

from freehold.errors import aws_error

InternalException = aws_error("InternalException", 500, "The key's material cannot be used.")
InvalidCiphertext = aws_error(
    "InvalidCiphertextException",
    400,
    "The ciphertext, its metadata, initialization vector, authentication tag or additional authenticated data is not "
    "that of anything that this key encrypted.",
)
InvalidKeyUsage = aws_error("InvalidKeyUsageException", 400, "The external key is not for this operation.")
InvalidState = aws_error("InvalidStateException", 400, "The external key is not enabled.")
KeyNotFound = aws_error("KeyNotFoundException", 404, "There is no such external key.")
UnsupportedOperation = aws_error("UnsupportedOperationException", 501)

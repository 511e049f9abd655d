"""Encryption at rest: sealed values, KMS ciphertexts, object bodies and the root key. Never a primitive of its own."""

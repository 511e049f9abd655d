"""Custody: where a deployment's root key comes from, and what it opens.

The root key opens one thing: the keyring, which holds what all sealing keys are derived from. So another root key, from
the same source or another, is one small file that is replaced; nothing else is sealed anew. docs/custody.md is the
operator's page; the formats are in docs/formats/custody.md and docs/formats/keyring.md.
"""

"""An external key store proxy for AWS KMS: the XKS Proxy API, version 1, over KMS keys that are held here.

`where` says which Region of this deployment a path means, `keys` which key and with which permission, `operations`
serves the specification's four operations. The callers' credentials are IAM's (`services/iam/signing_credentials.py`).
docs/xks-proxy.md
"""

NOT_IMPLEMENTED: dict[str, str] = {}

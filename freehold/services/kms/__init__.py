"""KMS: keys whose use is authorized, whose state reaches the data, and whose material is nowhere in the clear."""

_STORES = "custom key stores are not served yet"

NOT_IMPLEMENTED = {
    "ConnectCustomKeyStore": _STORES,
    "CreateCustomKeyStore": _STORES,
    "DeleteCustomKeyStore": _STORES,
    "DescribeCustomKeyStores": _STORES,
    "DisconnectCustomKeyStore": _STORES,
    "UpdateCustomKeyStore": _STORES,
}
"""Operation of the model -> why it is answered with NotImplemented."""

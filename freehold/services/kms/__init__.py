"""KMS: keys whose use is authorized, whose state reaches the data, and whose material is nowhere in the clear."""

_IMPORT = "importing key material is not served yet"
_STORES = "custom key stores are not served yet"

NOT_IMPLEMENTED = {
    "ConnectCustomKeyStore": _STORES,
    "CreateCustomKeyStore": _STORES,
    "DeleteCustomKeyStore": _STORES,
    "DeleteImportedKeyMaterial": _IMPORT,
    "DescribeCustomKeyStores": _STORES,
    "DisconnectCustomKeyStore": _STORES,
    "GetKeyLastUsage": "the last use of each key is not kept yet; the audit log has every use",
    "GetParametersForImport": _IMPORT,
    "ImportKeyMaterial": _IMPORT,
    "UpdateCustomKeyStore": _STORES,
}
"""Operation of the model -> why it is answered with NotImplemented."""

"""KMS: keys whose use is authorized, whose state reaches the data, and whose material is nowhere in the clear."""

_ASYMMETRIC = "keys other than symmetric encryption keys are not served yet"
_IMPORT = "importing key material is not served yet"
_STORES = "custom key stores are not served yet"

NOT_IMPLEMENTED = {
    "ConnectCustomKeyStore": _STORES,
    "CreateCustomKeyStore": _STORES,
    "Decapsulate": _ASYMMETRIC,
    "DeleteCustomKeyStore": _STORES,
    "DeleteImportedKeyMaterial": _IMPORT,
    "DeriveSharedSecret": _ASYMMETRIC,
    "DescribeCustomKeyStores": _STORES,
    "DisconnectCustomKeyStore": _STORES,
    "Encapsulate": _ASYMMETRIC,
    "GenerateDataKeyPair": _ASYMMETRIC,
    "GenerateDataKeyPairWithoutPlaintext": _ASYMMETRIC,
    "GenerateMac": _ASYMMETRIC,
    "GetKeyLastUsage": "the last use of each key is not kept yet; the audit log has every use",
    "GetParametersForImport": _IMPORT,
    "GetPublicKey": _ASYMMETRIC,
    "ImportKeyMaterial": _IMPORT,
    "Sign": _ASYMMETRIC,
    "UpdateCustomKeyStore": _STORES,
    "Verify": _ASYMMETRIC,
    "VerifyMac": _ASYMMETRIC,
}
"""Operation of the model -> why it is answered with NotImplemented."""

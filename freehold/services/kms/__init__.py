"""KMS: keys whose use is authorized, whose state reaches the data, and whose material is nowhere in the clear."""

NOT_IMPLEMENTED: dict[str, str] = {}
"""Operation of the model -> why it is answered with NotImplemented."""

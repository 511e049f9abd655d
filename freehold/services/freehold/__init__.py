"""The operator's operations: Freehold's own service model, authorized to a principal that belongs to no customer."""

NOT_IMPLEMENTED: dict[str, str] = {}

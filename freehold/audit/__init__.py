"""The audit trail: events in CloudTrail's form, chained, sealed, checkpointed, and the means to verify all of it."""

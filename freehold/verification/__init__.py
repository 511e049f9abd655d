"""`freehold verify`: whether what a stopped deployment holds is what was written, and fits together. Changes nothing.

Finds what no single seal shows: a row that is missing or was put back to an older one, a blob that went, a key without
its material. Names what it finds, and shows nothing of it.
"""

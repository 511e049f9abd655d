"""Freehold: an AWS-compatible security core that you run yourself."""

__version__ = "0.1.0"

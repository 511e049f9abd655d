"""`freehold demo`: TODO"""


def demo() -> None:
    """TODO"""

"""Puts a directory under another root key and is cut off just before a step: `cut_off.py STEP DATA ROOT_KEY KIND`.

The steps are the calls that make something durable or visible. Prints how many there were when it isn't cut off.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from freehold.custody.access import Access
from freehold.custody.mark import open_directory, write_mark
from freehold.custody.opening import establish, put_under

STEPS = ("open", "write", "fsync", "rename", "link", "unlink")


def main(step: int, data: Path, root_key: Path, kind: str) -> None:
    access = Access(root_key, secret="correct horse battery staple")
    head, keyring = open_directory(data, access)
    deployment = head.deployment or "d" * 32
    options = {"memory_mib": 19, "iterations": 1, "lanes": 1} if kind == "passphrase" else {}
    new = establish(kind, options, access, deployment)
    taken = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == step:
                os._exit(9)
            return real(*arguments, **options)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    put_under(
        data,
        new,
        keyring,
        access=access,
        deployment=deployment,
        number=head.number + 1,
        now_seconds=time.time(),
        then=lambda: None if head.deployment else write_mark(data, deployment),
    )
    print(taken)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])

"""A program for the kill tests: two processes store rows and blobs, and tell what was acknowledged, until killed.

Arguments: the data directory, a file that is told of every acknowledged step, and a number that is new at every start.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import threading
from pathlib import Path

from freehold.crypto.aead import Sealer
from freehold.storage import sqlite
from freehold.storage.counters import SharedCounters
from freehold.storage.files import FileBlobs
from freehold.storage.records import Transaction
from freehold.storage.sqlite import SqliteRecords

PAGE_KEY, SEALING_KEY = b"p" * 32, b"s" * 32


def main(data: Path, told: Path, start: int) -> None:
    # Often, so that kills meet checkpoints, restarts of the log, and erasures.
    sqlite.CHECKPOINT_AT_PAGES = 60
    counters = SharedCounters()
    FileBlobs(data / "blobs").remove_unfinished()
    process = 1 if os.fork() == 0 else 0
    records = SqliteRecords(data, PAGE_KEY, Sealer(SEALING_KEY), counters)
    blobs = FileBlobs(data / "blobs")
    to = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(*words: object) -> None:
        os.write(to, (" ".join(map(str, words)) + "\n").encode())

    def store(thread: int) -> None:
        chosen = random.Random(f"{start} {process} {thread}")
        mine = f"{start}-{process}-{thread}"
        number = 0
        while True:
            content = chosen.randbytes(chosen.randrange(1, 60_000))
            writer = blobs.create()
            writer.write(content)
            name = writer.commit()
            digest = hashlib.sha256(content).hexdigest()

            def put(transaction: Transaction, number=number, name=name, digest=digest) -> None:
                transaction.put("object", (mine, number), f"{name} {digest}".encode())
                transaction.put("twin", (mine, number), b"x" * 500)
                total = int(transaction.get("total", ("all",)) or b"0")
                transaction.put("total", ("all",), b"%d" % (total + 1))

            records.submit(put).result()
            tell("put", mine, number)
            if number % 7 == 6:
                gone = chosen.randrange(number)
                erases = number % 14 == 6

                def delete(transaction: Transaction, gone=gone, erases=erases) -> None:
                    (transaction.erase if erases else transaction.delete)("object", (mine, gone))
                    transaction.delete("twin", (mine, gone))

                tell("deleting", mine, gone)
                records.submit(delete).result()
                tell("deleted", mine, gone)
            number += 1

    for thread in range(3):
        threading.Thread(target=store, args=(thread,)).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

"""What a crash leaves of the audit log: segments without a writer, perhaps with an unfinished frame at their end.

They are ended: what is whole stays, the unfinished rest is cut off, and the next checkpoint says so. A segment that
lost what a checkpoint says of it is left alone, as evidence, for `verify` to show. Refuses records that are older
than the newest checkpoint in the file.
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from freehold.audit import checkpoint
from freehold.audit.checkpoint import NO_CHECKPOINT, CheckpointFile, DamagedCheckpoints, SegmentHead, Signer
from freehold.audit.segment import HEADER_BYTES, DamagedSegment, Head, SegmentReader, Tail, segment_files
from freehold.storage.records import Reader

log = logging.getLogger("freehold.audit")


def end_abandoned(directory: Path, reader: Reader, key: bytes, signer: Signer) -> list[SegmentHead]:
    """The heads of segments that no live worker writes and that no checkpoint has ended yet."""
    # The file is read first: another worker that starts may add a checkpoint, to the records before the file.
    in_file = CheckpointFile(directory).last_number()
    found = checkpoint.newest(reader)
    newest = NO_CHECKPOINT if found is None else signer.check(found[1])
    if in_file > newest.number:
        raise DamagedCheckpoints("the records are older than the newest checkpoint; were they put back?")
    open_heads = {head.segment_id: head for head in newest.open}
    ended = []
    for path in segment_files(directory):
        segment_id = bytes.fromhex(path.stem[-32:])
        known = open_heads.pop(segment_id, None)
        if known is None and checkpoint.ended(reader, segment_id) is not None:
            continue
        try:
            head = _end(path, key, known)
        except DamagedSegment as error:
            log.error("the audit log is damaged: %s", error)
            continue
        if head is not None:
            ended.append(head)
    for missing in open_heads.values():
        if missing.frames:
            log.error("the audit log is damaged: segment %s is missing", missing.segment_id.hex())
        else:
            ended.append(missing)
    return ended


def _end(path: Path, key: bytes, known: SegmentHead | None) -> SegmentHead | None:
    """Its final head; None for one that another worker is writing, and for one that holds nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if known is None and os.fstat(descriptor).st_size < HEADER_BYTES:
            # Nothing was ever acknowledged from a segment whose beginning isn't whole.
            path.unlink()
            return None
        head, torn = _whole_part(SegmentReader(path, key), known)
        if torn:
            log.warning("%s: %d bytes of an unfinished write were cut off", path.name, torn)
            os.ftruncate(descriptor, head.size)
            os.fsync(descriptor)
        return checkpoint.segment_head(head, torn)
    finally:
        os.close(descriptor)


def _whole_part(segment: SegmentReader, known: SegmentHead | None) -> tuple[Head, int]:
    """The head after the last whole frame, and how many bytes follow it."""
    head, torn = segment.first_head, 0
    if known is not None and known.frames == 0 and known.hash != head.hash:
        raise DamagedSegment(f"{segment.path.name}: it is not what a checkpoint says of it")
    for step in segment.walk():
        if isinstance(step, Tail):
            torn = step.bytes_over
            break
        head = step[1]
        if known is not None and head.frames == known.frames and head.hash != known.hash:
            raise DamagedSegment(f"{segment.path.name}: it is not what a checkpoint says of it")
    if known is not None and head.frames < known.frames:
        raise DamagedSegment(f"{segment.path.name}: it lost events that a checkpoint covers")
    return head, torn

"""Verification of the whole trail: segments, rows and checkpoints against each other, offline or beside a server.

Finds altered and removed events, a cut tail, a removed worker's file, records or files that were put back to an older
state, and altered or removed checkpoints; says where. What it cannot find: everything put back together to one older
moment, and a trail rewritten by someone who holds the root key. Copies of the checkpoints kept elsewhere show both.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from freehold.audit import chain, checkpoint
from freehold.audit.chain import DamagedChain, RowsHead
from freehold.audit.checkpoint import (
    NO_CHECKPOINT,
    Checkpoint,
    CheckpointFile,
    DamagedCheckpoints,
    SegmentHead,
    Signer,
    hash_of,
)
from freehold.audit.segment import HEADER_BYTES, DamagedSegment, SegmentReader, Tail, segment_files
from freehold.crypto.root_key import SealingKeys
from freehold.storage.records import Reader

_AFTER_A_CRASH = 2
"""How many checkpoints the records may be ahead of the file when nobody is writing: those of the last moment."""


@dataclass(slots=True)
class Finding:
    """One thing that is not as it was written: where, and what is wrong."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


@dataclass(slots=True)
class Report:
    """`findings`: what is damaged, in the order in which it was found; `notes`: what is worth knowing besides."""

    events: int = 0
    segments: int = 0
    rows: int = 0
    checkpoints: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings


def verify(directory: Path, reader: Reader, root_key: SealingKeys) -> Report:
    """Read all of the trail in `directory` (`DATA/audit`) and the records. Changes nothing."""
    return _Verification(directory, reader, root_key).run()


class _Verification:
    def __init__(self, directory: Path, reader: Reader, root_key: SealingKeys) -> None:
        self.directory = directory
        self.reader = reader
        self.key = root_key.sealing_key("audit")
        self.signer = Signer(root_key.sealing_key("audit-signing"))
        self.report = Report()
        self.newest: Checkpoint = NO_CHECKPOINT
        self.newest_hash = NO_CHECKPOINT.previous
        self.heads: dict[bytes, SegmentHead] = {}
        self.ended: set[bytes] = set()

    def run(self) -> Report:
        try:
            files = segment_files(self.directory)
        except OSError as error:
            self.found(str(self.directory), f"it cannot be read: {error.strerror}")
            return self.report
        # Whether a server writes meanwhile; asked first, since it may stop.
        live = {path.name for path in files if _is_being_written(path)}
        self.check_checkpoints(bool(live))
        # Listed again, so that no segment is missed that a checkpoint already knows.
        for path in segment_files(self.directory):
            self.check_segment(path, path.name in live, bool(live))
        for head in self.heads.values():
            if head.frames:
                self.found(
                    f"worker {head.worker}'s segment {head.segment_id.hex()}",
                    f"the file is missing, with at least {head.events} events",
                )
        self.check_rows(bool(live))
        return self.report

    def found(self, place: str, problem: str) -> None:
        self.report.findings.append(Finding(place, problem))

    # --- checkpoints -----------------------------------------------------------------------------------------

    def check_checkpoints(self, live: bool) -> None:
        file = CheckpointFile(self.directory)
        over, refusal, damaged = b"", "", False
        try:
            for stored in file.stored():
                if over:
                    raise DamagedCheckpoints(refusal)
                try:
                    self.follow(stored)
                except DamagedCheckpoints as error:
                    # An unfinished one may be the last thing in the file.
                    over, refusal = stored, str(error)
        except (DamagedCheckpoints, OSError) as error:
            self.found(f"{checkpoint.FILE}, after checkpoint {self.newest.number}", str(error))
            over, damaged = b"", True
        in_file = self.newest.number
        try:
            self.check_kept(in_file, over, live, damaged)
        except Exception as error:
            # The store's own errors tell of damage as well.
            self.found("the records' checkpoints", str(error) or type(error).__name__)

    def check_kept(self, in_file: int, over: bytes, live: bool, damaged: bool) -> None:
        kept = [(int(key[0]), stored) for key, stored in self.reader.scan(checkpoint.TABLE)]
        last = kept[-1][0] if kept else 0
        if over:
            following = next((stored for number, stored in kept if number == in_file + 1), b"")
            length = len(following).to_bytes(4, "big")
            if not following or not (length + following + length).startswith(over):
                self.found(f"{checkpoint.FILE}, after checkpoint {in_file}", "what follows is not a checkpoint")
            else:
                self.report.notes.append("the last checkpoint in the file is unfinished, as after a crash")
        if last < in_file:
            self.found(
                "the records",
                f"they are older than checkpoint {in_file}: they end at checkpoint {last}, as if put back",
            )
        for number, stored in kept:
            if number == in_file and hash_of(stored) != self.newest_hash:
                self.found(f"checkpoint {number}", "the records and the file hold different ones")
            elif number > self.newest.number and not damaged:
                self.follow(stored)
        if damaged:
            return
        ahead = last - in_file
        allowed = checkpoint.KEPT_IN_RECORDS if live else _AFTER_A_CRASH if self.newest.open else 0
        if ahead > allowed:
            self.found(checkpoint.FILE, f"it lacks the checkpoints {in_file + 1} to {last}, which the records have")
        elif ahead > 0 and not live:
            self.report.notes.append(f"the file lacks the last {ahead} checkpoints, as after a crash")

    def follow(self, stored: bytes) -> None:
        """Take the next checkpoint. Raises DamagedCheckpoints where it doesn't follow from the one before."""
        after, before = self.signer.check(stored), self.newest
        place = f"checkpoint {after.number}"
        if after.number != before.number + 1 or after.previous != self.newest_hash:
            raise DamagedCheckpoints(f"{place} does not follow checkpoint {before.number}")
        if after.rows < before.rows or after.time_us < before.time_us:
            raise DamagedCheckpoints(f"{place} goes back")
        closed_hash = before.closed_hash
        for head in after.closed:
            closed_hash = sha256(closed_hash + msgspec.msgpack.encode(head)).digest()
        if closed_hash != after.closed_hash or after.closed_segments != before.closed_segments + len(after.closed):
            raise DamagedCheckpoints(f"{place} counts its segments wrongly")
        for head in (*after.open, *after.closed):
            known = self.heads.get(head.segment_id)
            if head.segment_id in self.ended or (known is not None and head.frames < known.frames):
                raise DamagedCheckpoints(f"{place} lets a segment go back")
            self.heads[head.segment_id] = head
        self.ended |= {head.segment_id for head in after.closed}
        self.newest, self.newest_hash = after, hash_of(stored)
        self.report.checkpoints += 1

    # --- segments --------------------------------------------------------------------------------------------

    def check_segment(self, path: Path, live: bool, server: bool) -> None:
        segment_id = bytes.fromhex(path.stem[-32:])
        known = self.heads.pop(segment_id, None)
        try:
            if known is None and path.stat().st_size < HEADER_BYTES:
                return  # being made, or never finished: nothing was acknowledged from it
            frames, events, size, torn = self.walk(path, known)
        except (DamagedSegment, OSError) as error:
            self.found(path.name, str(error).removeprefix(f"{path.name}: "))
            return
        if known is None and frames and not server:
            if self.newest.open:
                self.report.notes.append(f"{path.name}: no checkpoint covers it, as after a crash")
            else:
                self.found(path.name, "no checkpoint knows of it; were the checkpoints put back?")
        self.report.segments += 1
        self.report.events += events
        if known is None:
            return
        if frames < known.frames:
            self.found(path.name, f"it was cut: {frames} of at least {known.frames} frames are left")
        elif segment_id in self.ended and (torn or size != known.size):
            self.found(path.name, "something was added to it after its end")
        elif torn and not live:
            self.report.notes.append(f"{path.name}: ends in {torn} bytes of an unfinished write, as after a crash")
        if known.torn:
            self.report.notes.append(
                f"{path.name}: {known.torn} bytes of an unfinished write were cut off after a crash"
            )

    def walk(self, path: Path, known: SegmentHead | None) -> tuple[int, int, int, int]:
        """(frames, events, size of the whole part, bytes after it). Raises DamagedSegment."""
        segment = SegmentReader(path, self.key)
        head, torn = segment.first_head, 0
        for step in segment.walk():
            if isinstance(step, Tail):
                torn = step.bytes_over
                break
            head = step[1]
            if known is not None and head.frames == known.frames and (head.hash, head.size) != (known.hash, known.size):
                raise DamagedSegment(f"frame {head.frames - 1} is not what a checkpoint says")
        return head.frames, head.events, head.size, torn

    # --- rows ------------------------------------------------------------------------------------------------

    def check_rows(self, live: bool) -> None:
        at = chain.NO_ROWS
        wanted = {head.rows: head for head in (self.newest.rows_head,)}
        try:
            told = chain.head(self.reader)
            for at, events in chain.walk(self.reader):
                self.report.rows += 1
                self.report.events += len(events)
                for expected in (wanted.get(at.rows), told if told.rows == at.rows else None):
                    if expected is not None and at.hash != expected.hash:
                        raise DamagedChain(f"row {at.rows} is not what a checkpoint or the head says")
            self.check_end(at, told, live)
        except Exception as error:
            # The store's own errors tell of damage as well.
            self.found(f"the records, after row {at.rows}", str(error) or type(error).__name__)

    def check_end(self, at: RowsHead, told: RowsHead, live: bool) -> None:
        if at.rows < max(self.newest.rows, told.rows):
            raise DamagedChain(f"they were cut: {at.rows} of {max(self.newest.rows, told.rows)} rows are left")
        if at.rows != told.rows and not live:
            raise DamagedChain(f"they go on after their head, which says {told.rows} rows")


def _is_being_written(path: Path) -> bool:
    """Whether a worker holds the segment."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False

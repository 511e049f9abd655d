"""S3's objects: each has its bytes, as long as its record says, under a data key that opens.

By default a message's beginning (salt and key commitment) is compared with the data key and the place that it belongs
to, `deep` reads all of it. The bytes are opened in memory and go nowhere. Objects under keys that were deleted, whose
imported material is away, or that are in custom key stores can't be opened here; they are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from freehold.crypto import envelope, stream
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.services.s3 import records as s3
from freehold.services.s3.bodies import context_of, part_context_of
from freehold.services.s3.encryption import SSE_S3, bound_to, encryption_context
from freehold.services.s3.records import Encryption, Layout, ObjectRecord, Part
from freehold.storage.blobs import CorruptBlob
from freehold.storage.files import FileBlobs
from freehold.storage.records import Key as StoreKey
from freehold.verification.contents import Contents, Unreadable
from freehold.verification.materials import Materials
from freehold.verification.report import row

_IN_STORES: Final = (envelope.TOKEN_VERSION, envelope.EXTERNAL_VERSION)


class Unopenable(Exception):
    """The data key can't be had here, and nothing is wrong with that. Says why."""


class Objects:
    """Objects, uploads under way, and the blobs of both."""

    def __init__(
        self, contents: Contents, blobs: FileBlobs, service_key: bytes, materials: Materials, *, deep: bool
    ) -> None:
        self.contents = contents
        self.report = contents.report
        self.blobs = blobs
        self.service_owned = Sealer(service_key)
        self.materials = materials
        self.deep = deep

    def check(self) -> None:
        self.contents.progress.stage("objects", None)
        for at, record in self.contents.rows(s3.OBJECTS):
            self.contents.progress.step()
            self.report.counts["objects"] += 1
            self._guarded(self._check_object, at, record)
        for at, entry in self.contents.rows(s3.ENTRIES):
            self._guarded(self._check_entry, at, entry)
        for at, part in self.contents.rows(s3.PARTS):
            self._check_blob(row(s3.PARTS.name, at), part.blob, part.size)
        for at, bucket in self.contents.rows(s3.BUCKETS):
            self._guarded(self._check_bucket, at, bucket)
        self._look_for_orphans()

    def _guarded(self, check: Callable[..., None], *given: object) -> None:
        try:
            check(*given)
        except Unreadable:
            return  # told before

    def _check_bucket(self, at: StoreKey, bucket: s3.BucketRecord) -> None:
        if self.contents.get(s3.OWNED, (bucket.owner, *at)) is None:
            self.report.found(row(s3.BUCKETS.name, at), "its owner's list lacks it")

    def _check_entry(self, at: StoreKey, entry: s3.Entry) -> None:
        record = self.contents.get(s3.OBJECTS, at)
        if record is None:
            self.report.found(row(s3.ENTRIES.name, at), "its object is missing")
        elif (entry.size, entry.etag) != (record.size, record.etag):
            self.report.found(row(s3.ENTRIES.name, at), "it tells of another object than there is")

    def _check_object(self, at: StoreKey, record: ObjectRecord) -> None:
        name = row(s3.OBJECTS.name, at)
        if self.contents.get(s3.BUCKETS, at[:1]) is None:
            self.report.found(name, "its bucket is missing")
        if self.contents.get(s3.ENTRIES, at) is None:
            self.report.found(name, "listings lack it")
        layout = None
        if record.parts:
            layout = self.contents.get(s3.LAYOUTS, (record.object_id,))
            if layout is None or len(layout.parts) != record.parts:
                self.report.found(name, "its list of parts is missing, or not its own")
                return
            if sum(part.size for part in layout.parts) != record.size:
                self.report.found(name, "its parts are not as long as it")
        try:
            data_key = self._data_key(str(at[0]), str(at[1]), record.object_id, record.encryption)
        except Unopenable as why:
            self.report.counts[f"objects {why}"] += 1
            data_key = None
        except IntegrityError:
            self.report.found(name, "its data key does not open")
            data_key = None
        self._check_bytes(name, record, layout, data_key)

    def _data_key(self, bucket: str, key: str, object_id: str, kept: Encryption) -> bytes:
        if kept.algorithm == SSE_S3:
            return self.service_owned.open(kept.wrapped, bound_to(bucket, key, object_id))
        header = envelope.parse_header(kept.wrapped)
        if not kept.key_arn.endswith(f":key/{header.key_id}"):
            raise IntegrityError("wrapped by another key than the record names")
        if kept.wrapped[0] in _IN_STORES:
            raise Unopenable("under keys in custom key stores, not opened")
        number = int(header.backing_key_id) if header.backing_key_id.isdigit() else 0
        backing_key = self.materials.opened(header.region, header.key_id, number)
        if backing_key is None:
            raise Unopenable("under key material that is not here, not opened")
        context = encryption_context(bucket, key, kept.bucket_key, kept.context)
        return envelope.open_message(backing_key, kept.wrapped, context)

    def _check_bytes(self, name: str, record: ObjectRecord, layout: Layout | None, data_key: bytes | None) -> None:
        if layout is not None:
            for part in layout.parts:
                place = f"{name}, part {part.number}"
                self._check_message(place, part.blob, part.size, data_key, _context(record, layout, part))
        elif record.blob:
            self._check_message(name, record.blob, record.size, data_key, context_of(record.object_id))
        elif data_key is not None:
            try:
                stream.open_whole(data_key, context_of(record.object_id), record.body, record.size)
            except IntegrityError as error:
                self.report.found(name, str(error))

    def _check_message(self, name: str, blob: str, size: int, data_key: bytes | None, context: bytes) -> None:
        if not self._check_blob(name, blob, size) or data_key is None:
            return
        reader = None
        try:
            reader = self.blobs.open(blob)
            opened = stream.RangeReader(data_key, context, reader.pread, size, reader.size)
            for piece in opened.chunks(0, size) if self.deep else ():
                self.report.counts["bytes"] += len(piece)
        except (CorruptBlob, IntegrityError) as error:
            self.report.found(name, f"its bytes in the blob {blob}: {error}")
        except OSError as error:
            self.report.found(name, f"the blob {blob} cannot be read: {error.strerror}")
        finally:
            if reader is not None:
                reader.close()

    def _check_blob(self, name: str, blob: str, size: int) -> bool:
        try:
            reader = self.blobs.open(blob)
        except (CorruptBlob, ValueError) as error:
            self.report.found(name, str(error))
            return False
        except OSError as error:
            self.report.found(name, f"the blob {blob} cannot be read: {error.strerror}")
            return False
        found = reader.size
        reader.close()
        self.report.counts["blobs"] += 1
        if found != stream.sealed_size(size):
            self.report.found(name, f"the blob {blob} does not have its length")
            return False
        try:
            if self.contents.get(s3.BLOB_OWNERS, (blob,)) is None:
                self.report.found(name, f"the blob {blob} is nobody's: it would be swept away")
        except Unreadable:
            return True
        return True

    def _look_for_orphans(self) -> None:
        owned = {str(at[0]) for at, _ in self.contents.rows(s3.BLOB_OWNERS)}
        waiting = {str(at[0]) for at, _ in self.contents.rows(s3.GARBAGE)}
        try:
            left = sum(1 for name in self.blobs.list() if name not in owned and name not in waiting)
        except OSError as error:
            if owned:
                self.report.found("blobs", f"the directory cannot be read: {error.strerror}")
            return
        if left:
            self.report.notes.append(f"{left} blobs belong to nobody, as after a crash: the next start removes them")


def _context(record: ObjectRecord, layout: Layout, part: Part) -> bytes:
    return part_context_of(record.object_id, layout.upload_id, part.number, part.part_id)

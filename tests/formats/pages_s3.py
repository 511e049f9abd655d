"""A reader of objects written from s3-objects.md and object-stream.md alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from pages_crypto import blob_parts, kms_message, object_stream, sealed_value
from pages_records import Database


class Objects:
    """`backing_key` gives a KMS key's material by (region, key id, number)."""

    def __init__(
        self, database: Database, blobs: Path, service_key: bytes, backing_key: Callable[[str, str, int], bytes]
    ) -> None:
        self._objects = database.values("s3.objects")
        self._layouts = database.values("s3.layouts") if "s3.layouts" in database.tables() else {}
        self._blobs = blobs
        self._service_key = service_key
        self._backing_key = backing_key

    def read(self, bucket: str, key: str) -> bytes:
        record: list[Any] = msgspec.msgpack.decode(self._objects[bucket, key])
        object_id, size, _, _, encryption, _, _, _, body, blob, parts = record
        data_key = self._data_key(bucket, key, object_id, encryption)
        if parts:
            upload_id, stretches = msgspec.msgpack.decode(self._layouts[(object_id,)])
            whole = b""
            for number, part_id, name, part_size, *_ in stretches:
                context = f"s3 part\x00{object_id}\x00{upload_id}\x00{number}\x00{part_id}".encode()
                whole += object_stream(data_key, context, self._blob(name), part_size)
            assert len(whole) == size
            return whole
        return object_stream(data_key, f"s3 object\x00{object_id}".encode(), body or self._blob(blob), size)

    def _blob(self, name: str) -> bytes:
        return (self._blobs / name[:2] / name).read_bytes()

    def _data_key(self, bucket: str, key: str, object_id: str, encryption: list[Any]) -> bytes:
        algorithm, wrapped, key_arn, bucket_key, pairs = encryption
        if algorithm == "AES256":
            associated = f"s3 data key\x00{bucket}\x00{object_id}\x00{key}".encode()
            return sealed_value(self._service_key, wrapped, associated)
        assert algorithm == "aws:kms"
        parts = blob_parts(wrapped)
        assert key_arn.endswith(parts.key_id)
        arn = f"arn:aws:s3:::{bucket}" if bucket_key else f"arn:aws:s3:::{bucket}/{key}"
        context = {**dict(pairs), "aws:s3:arn": arn}
        return kms_message(self._backing_key(parts.region, parts.key_id, int(parts.backing_key_id)), wrapped, context)

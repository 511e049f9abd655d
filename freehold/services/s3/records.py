"""What S3 keeps: the records of buckets, objects, multipart uploads and blobs, and their tables.

A listing reads `ENTRIES` only: small rows, one for each object, written and deleted in the transaction of the
object's own record. Only the buckets' table moves the "s3" change counter; writing an object never does.
"""

from __future__ import annotations

import msgspec

from freehold.storage.records import Table


class DefaultEncryption(msgspec.Struct, array_like=True, frozen=True):
    """A bucket's default encryption. `key_id` as it was given; empty for the AWS managed key or SSE-S3."""

    algorithm: str = "AES256"
    key_id: str = ""
    bucket_key: bool = False
    blocked: tuple[str, ...] = ("SSE-C",)


class PublicAccessBlock(msgspec.Struct, array_like=True, frozen=True):
    block_public_acls: bool = True
    ignore_public_acls: bool = True
    block_public_policy: bool = True
    restrict_public_buckets: bool = True


class BucketRecord(msgspec.Struct, array_like=True):
    bucket_id: str
    """Random; tells a bucket from a later one of the same name."""
    owner: str
    """Account id."""
    region: str
    created: int
    """Seconds since the epoch."""
    encryption: DefaultEncryption = DefaultEncryption()
    public_access: PublicAccessBlock | None = PublicAccessBlock()
    policy: str = ""
    """JSON with principals as unique ids; empty when there is none."""
    ownership: str = "BucketOwnerEnforced"
    """Empty once its ownership controls were deleted (ACLs stay disabled)."""
    tags: dict[str, str] = {}
    abac: bool = False
    """Whether the tags are condition keys."""


class BucketIdentity(msgspec.Struct, array_like=True, frozen=True):
    """The first fields of `BucketRecord`: all that a write of an object needs of its bucket."""

    bucket_id: str
    owner: str


class OwnedBucket(msgspec.Struct, array_like=True, frozen=True):
    created: int
    region: str


class Encryption(msgspec.Struct, array_like=True, frozen=True):
    """How an object's data key is kept. `wrapped`: sealed by the service-owned key, or KMS's ciphertext blob."""

    algorithm: str
    wrapped: bytes
    key_arn: str = ""
    bucket_key: bool = False
    context: tuple[tuple[str, str], ...] = ()
    """What the writer added to the encryption context."""


class Checksum(msgspec.Struct, array_like=True, frozen=True):
    algorithm: str
    value: str
    """Base64; of a composite one `…-N`."""
    kind: str
    """FULL_OBJECT or COMPOSITE."""


class ObjectRecord(msgspec.Struct, array_like=True):
    """One object. Its bytes are in `body` (sealed), in the blob named `blob`, or in the parts of its layout."""

    object_id: str
    """Random, new with every write; bound into the sealed bytes."""
    size: int
    """Length of the plaintext in bytes."""
    etag: str
    modified: int
    """Seconds since the epoch."""
    encryption: Encryption
    checksum: Checksum | None = None
    headers: dict[str, str] = {}
    """The system headers by their member's name: ContentType, CacheControl …"""
    metadata: dict[str, str] = {}
    body: bytes = b""
    blob: str = ""
    parts: int = 0
    """How many parts the layout has; 0 for an object written in one piece."""


class Entry(msgspec.Struct, array_like=True, gc=False):
    """What a listing shows of one object."""

    size: int
    etag: str
    modified: int
    algorithm: str = ""
    kind: str = ""


class Part(msgspec.Struct, array_like=True, gc=False):
    """One part, uploaded or as a stretch of a completed object."""

    number: int
    part_id: str
    """Random, new with every upload of the part; bound into its sealed bytes."""
    blob: str
    size: int
    etag: str
    modified: int
    checksum: str = ""


class Layout(msgspec.Struct, array_like=True):
    """The parts of a completed multipart object, in order, and the upload that they were sealed for."""

    upload_id: str
    parts: list[Part]


class UploadRecord(msgspec.Struct, array_like=True):
    bucket_id: str
    object_id: str
    initiated: int
    initiator_arn: str
    initiator_account: str
    encryption: Encryption
    algorithm: str
    """Checksum algorithm."""
    kind: str
    """FULL_OBJECT or COMPOSITE."""
    explicit_algorithm: bool
    """Whether the client chose it; the default one is computed without being asked for."""
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}


class BlobOwner(msgspec.Struct, array_like=True, frozen=True):
    """Whose bytes a blob holds, so that one that belongs to nobody can be told."""

    object_id: str


class Garbage(msgspec.Struct, array_like=True, frozen=True):
    """A blob that no record refers to any longer."""

    since: int
    lingers: bool = False
    """Whether readers may still be about to open it: the later parts of an object that was replaced."""


BUCKETS = Table("s3.buckets", BucketRecord, domain="s3")
"""(bucket,)"""
BUCKET_IDENTITIES = Table("s3.buckets", BucketIdentity)
"""The same rows, read in part; never written through this."""
OWNED = Table("s3.owned", OwnedBucket)
"""(account id, bucket)"""
OBJECTS = Table("s3.objects", ObjectRecord)
"""(bucket, key)"""
ENTRIES = Table("s3.entries", Entry)
"""(bucket, key)"""
LAYOUTS = Table("s3.layouts", Layout)
"""(object id,)"""
UPLOADS = Table("s3.uploads", UploadRecord)
"""(bucket, key, upload id)"""
PARTS = Table("s3.parts", Part)
"""(upload id, part number)"""
BLOB_OWNERS = Table("s3.blobs", BlobOwner)
"""(blob name,)"""
GARBAGE = Table("s3.garbage", Garbage)
"""(blob name,)"""

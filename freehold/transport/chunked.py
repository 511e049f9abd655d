"""aws-chunked: a body framed in chunks, each signed or none, with trailing headers. Bytes in, verified bytes out.

Owns the framing and the chain of chunk signatures. A signed chunk is held, at most one at a time, until its signature
is right: no byte of it is released before. Refuses longer framing, larger signed chunks, other lengths and other
trailers than were declared, anything after the end, and a body that ends early. What a checksum in a trailer says is
compared by whoever computes checksums; here only its signature and its form are.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from freehold.authentication.payload import EMPTY_SHA256, Payload
from freehold.errors import AwsError, aws_error

MOST_SIGNED_CHUNK_BYTES: Final = 16 * 1024 * 1024
LEAST_SIGNED_CHUNK_BYTES: Final = 8 * 1024
"""Only the last signed chunk may be smaller: S3's rule, and a chunk of one byte would cost two HMACs."""
MOST_CHUNK_HEADER_BYTES: Final = 256
MOST_TRAILER_BYTES: Final = 8 * 1024

IncompleteBody = aws_error(
    "IncompleteBody",
    400,
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
)
InvalidChunkSizeError = aws_error(
    "InvalidChunkSizeError", 403, "Only the last chunk is allowed to have a size less than 8192 bytes"
)
InvalidRequest = aws_error("InvalidRequest", 400, "The body is not well-formed aws-chunked.")
MalformedTrailerError = aws_error(
    "MalformedTrailerError",
    400,
    "The request contained trailing data that was not well-formed or did not conform to our published schema.",
)
SignatureDoesNotMatch = aws_error(
    "SignatureDoesNotMatch",
    403,
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
)

_signed_header = re.compile(rb"([0-9a-fA-F]{1,15});chunk-signature=([0-9a-f]{64})").fullmatch
_unsigned_header = re.compile(rb"([0-9a-fA-F]{1,15})(?:;[!-~]*)?").fullmatch
_trailer_line = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e]*?)[ \t]*").fullmatch

_CHECKSUM_BYTES: Final = {
    "x-amz-checksum-crc32": 4,
    "x-amz-checksum-crc32c": 4,
    "x-amz-checksum-crc64nvme": 8,
    "x-amz-checksum-sha1": 20,
    "x-amz-checksum-sha256": 32,
}
_TRAILER_SIGNATURE: Final = "x-amz-trailer-signature"

_HEADER, _DATA, _LINE_END, _TRAILERS, _LAST_LINE, _END, _REFUSED = range(7)


class ChunkDecoder:
    """Feed it what arrives, in any pieces; take the released bytes; `finish` when nothing more comes.

    Work and memory are linear in the input: at most one signed chunk and one line are held.
    """

    __slots__ = (
        "_chunk_hash",
        "_chunk_left",
        "_chunk_signature",
        "_ended_small",
        "_held",
        "_left",
        "_line",
        "_payload",
        "_previous",
        "_state",
        "_trailer_bytes",
        "_trailer_signature",
        "trailers",
    )

    def __init__(self, payload: Payload) -> None:
        if payload.kind != "chunks" or payload.decoded_length is None:
            raise ValueError("this payload isn't aws-chunked")
        self._payload = payload
        self._left = payload.decoded_length
        """Decoded bytes that are still to be announced by chunk headers."""
        self._previous = payload.chunk_signature.seed if payload.chunk_signature else ""
        self._state = _HEADER
        self._line = b""
        self._held: list[bytes] = []
        self._chunk_left = 0
        self._chunk_hash = sha256()
        self._chunk_signature = b""
        self._ended_small = False
        self._trailer_bytes = 0
        self._trailer_signature = b""
        self.trailers: dict[str, str] = {}

    def feed(self, data: bytes) -> list[bytes]:
        """The verified bytes that became complete with `data`. Once it has raised AwsError, it raises always."""
        if self._state == _REFUSED:
            raise InvalidRequest
        try:
            return self._fed(data)
        except AwsError:
            self._state = _REFUSED
            self._held.clear()
            raise

    def _fed(self, data: bytes) -> list[bytes]:
        released: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            state = self._state
            if state == _DATA:
                take = min(self._chunk_left, end - at)
                piece = data if take == end else data[at : at + take]
                at += take
                self._chunk_left -= take
                if self._payload.chunk_signature is None:
                    released.append(piece)
                else:
                    self._chunk_hash.update(piece)
                    self._held.append(piece)
                if self._chunk_left == 0:
                    self._state = _LINE_END
                    if self._payload.chunk_signature is not None:
                        self._verify_chunk()
                        released += self._held
                        self._held.clear()
            elif state == _END:
                if data[at:].strip(b"\r\n"):
                    raise InvalidRequest("The body goes on after its last chunk.")
                break
            else:
                line_end = data.find(b"\n", at)
                stop = end if line_end < 0 else line_end
                most = MOST_TRAILER_BYTES if state == _TRAILERS else MOST_CHUNK_HEADER_BYTES
                if len(self._line) + stop - at > most:
                    raise MalformedTrailerError() if state == _TRAILERS else InvalidRequest()
                self._line += data[at:stop]
                if line_end < 0:
                    break
                at = line_end + 1
                line, self._line = self._line, b""
                self._take_line(line)
        return released

    def finish(self) -> None:
        """Raise IncompleteBody unless the body's last line has come."""
        if self._state != _END:
            raise IncompleteBody("The request body terminated unexpectedly")

    def _take_line(self, line: bytes) -> None:
        state = self._state
        if state == _TRAILERS:
            self._take_trailer(line.removesuffix(b"\r"))
            return
        if not line.endswith(b"\r"):
            raise InvalidRequest
        line = line[:-1]
        if state == _HEADER:
            self._take_header(line)
        elif line:
            raise InvalidRequest("A chunk is longer than its header says.")
        else:
            self._state = _HEADER if state == _LINE_END else _END

    def _take_header(self, line: bytes) -> None:
        signed = self._payload.chunk_signature is not None
        match = (_signed_header if signed else _unsigned_header)(line)
        if match is None:
            raise InvalidRequest
        size = int(match[1], 16)
        if size > self._left:
            raise IncompleteBody("The request body is longer than x-amz-decoded-content-length says")
        self._left -= size
        if signed:
            if size > MOST_SIGNED_CHUNK_BYTES:
                raise InvalidRequest(f"A signed chunk can have at most {MOST_SIGNED_CHUNK_BYTES} bytes.")
            if size and self._ended_small:
                raise InvalidChunkSizeError
            self._ended_small = size < LEAST_SIGNED_CHUNK_BYTES
            self._chunk_signature = match[2]
            self._chunk_hash = sha256()
        if size:
            self._chunk_left = size
            self._state = _DATA
            return
        if self._left:
            raise IncompleteBody("The request body is shorter than x-amz-decoded-content-length says")
        if signed:
            self._verify_chunk()
        self._state = _TRAILERS if self._payload.trailers_follow else _LAST_LINE

    def _verify_chunk(self) -> None:
        self._verify(
            "AWS4-HMAC-SHA256-PAYLOAD", f"{EMPTY_SHA256}\n{self._chunk_hash.hexdigest()}", self._chunk_signature
        )
        self._previous = self._chunk_signature.decode("ascii")

    def _verify(self, algorithm: str, hashes: str, given: bytes) -> None:
        chain = self._payload.chunk_signature
        if chain is None:
            raise SignatureDoesNotMatch
        text = f"{algorithm}\n{chain.timestamp}\n{chain.scope}\n{self._previous}\n{hashes}"
        computed = digest(chain.signing_key, text.encode("latin-1", "replace"), "sha256").hex()
        if not compare_digest(computed.encode(), given):
            raise SignatureDoesNotMatch

    def _take_trailer(self, line: bytes) -> None:
        signed = self._payload.chunk_signature is not None
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > MOST_TRAILER_BYTES:
            raise MalformedTrailerError
        if not line:
            # Some clients end the trailing headers with an empty line before their signature.
            if not signed or self._trailer_signature:
                self._end_trailers()
            return
        match = _trailer_line(line)
        if match is None or self._trailer_signature:
            raise MalformedTrailerError
        name = match[1].decode("ascii").lower()
        if signed and name == _TRAILER_SIGNATURE:
            self._trailer_signature = match[2]
        elif name not in self._payload.trailer_names or name in self.trailers:
            raise MalformedTrailerError
        else:
            self.trailers[name] = match[2].decode("ascii")

    def _end_trailers(self) -> None:
        if len(self.trailers) != len(self._payload.trailer_names):
            raise MalformedTrailerError
        if self._trailer_signature:
            lines = "".join([f"{name}:{self.trailers[name]}\n" for name in sorted(self.trailers)])
            self._verify("AWS4-HMAC-SHA256-TRAILER", sha256(lines.encode("ascii")).hexdigest(), self._trailer_signature)
        for name, value in self.trailers.items():
            size = _CHECKSUM_BYTES.get(name)
            if size is not None and not _is_base64_of(value, size):
                raise InvalidRequest(f"Value for {name} trailing header is invalid.")
        self._state = _END


def _is_base64_of(value: str, size: int) -> bool:
    # Multipart uploads may append "-N" only in responses, never in a trailer.
    try:
        return len(base64.b64decode(value, validate=True)) == size
    except (binascii.Error, ValueError):
        return False

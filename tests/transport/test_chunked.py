"""aws-chunked bodies: AWS's examples decode however they are split; anything altered, cut or added is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.authentication.credentials import Credential, Secret
from freehold.authentication.payload import ChunkSignature, Payload
from freehold.authentication.sigv4 import authenticate
from freehold.authorization.principal import Principal
from freehold.errors import AwsError
from freehold.message import Request
from freehold.transport.chunked import MOST_SIGNED_CHUNK_BYTES, ChunkDecoder
from freehold.transport.verified_body import HASH_BATCH_BYTES, VerifiedBody, verified_body

S3 = json.loads((Path(__file__).parent.parent / "vectors" / "sigv4" / "s3_documentation.json").read_text())
DOCUMENTED = [pytest.param(case, id=case["name"]) for case in S3["chunked"]]
BODY = b"a" * 66_560
CHAIN = ChunkSignature(b"k" * 32, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", "5" * 64)


def framed(case: dict[str, Any]) -> bytes:
    chunks = (BODY[:65_536], BODY[65_536:], b"")
    out = b""
    for chunk, signature in zip(chunks, case["chunk_signatures"], strict=True):
        out += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    for name, value in case["trailers"].items():
        out += f"{name}:{value}\r\n".encode()
    if "trailer_signature" in case:
        out += f"x-amz-trailer-signature:{case['trailer_signature']}\r\n".encode()
    return out + b"\r\n"


class Documented:
    def lookup(self, access_key_id: str, session_token: str | None) -> Credential:
        return Credential(Secret(S3["secret"]), Principal(kind="user"))


class In2013:
    def wall_seconds(self) -> float:
        return 1369353600.0


def payload_of(case: dict[str, Any]) -> Payload:
    headers = {"x-amz-date": S3["timestamp"], **case["headers"]}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={S3['access_key_id']}/{S3['scope']},"
        f"SignedHeaders={';'.join(sorted(headers))},Signature={case['signature']}"
    )
    request = Request("PUT", "/examplebucket/chunkObject.txt", "", headers)
    return authenticate(request, credentials=Documented(), clock=In2013(), regions=("us-east-1",)).payload  # type: ignore[arg-type]


def decode(payload: Payload, *pieces: bytes) -> tuple[bytes, dict[str, str]]:
    decoder = ChunkDecoder(payload)
    out = b"".join(part for piece in pieces for part in decoder.feed(piece))
    decoder.finish()
    return out, decoder.trailers


def signed(algorithm: str, previous: str, hashes: str) -> str:
    text = f"{algorithm}\n{CHAIN.timestamp}\n{CHAIN.scope}\n{previous}\n{hashes}"
    return hmac.new(CHAIN.signing_key, text.encode(), "sha256").hexdigest()


def encode(chunks: list[bytes], *, sign: bool, trailers: dict[str, str] | None = None, gap: bytes = b"") -> bytes:
    """An aws-chunked body, written for the tests from the format's description."""
    out, previous = b"", CHAIN.seed
    empty = hashlib.sha256(b"").hexdigest()
    for chunk in [*chunks, b""]:
        extension = ""
        if sign:
            previous = signed("AWS4-HMAC-SHA256-PAYLOAD", previous, f"{empty}\n{hashlib.sha256(chunk).hexdigest()}")
            extension = f";chunk-signature={previous}"
        out += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailers:
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        out += lines.replace("\n", "\r\n").encode() + gap
        if sign:
            digest = hashlib.sha256(lines.encode()).hexdigest()
            out += f"x-amz-trailer-signature:{signed('AWS4-HMAC-SHA256-TRAILER', previous, digest)}\r\n".encode()
    return out + b"\r\n"


def described(length: int, *, sign: bool, trailers: dict[str, str] | None = None) -> Payload:
    return Payload(
        "chunks", "", CHAIN if sign else None, length, trailers is not None or not sign, frozenset(trailers or ())
    )


def crc32(body: bytes) -> dict[str, str]:
    return {"x-amz-checksum-crc32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()}


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize("case", DOCUMENTED)
def test_the_documented_body_decodes_however_it_is_split(case: dict[str, Any]) -> None:
    payload, wire = payload_of(case), framed(case)
    for pieces in (
        [wire],
        split(wire, list(range(300))),
        [wire[at : at + 1000] for at in range(0, len(wire), 1000)],
    ):
        assert decode(payload, *pieces) == (BODY, case["trailers"])


@pytest.mark.parametrize("case", DOCUMENTED)
def test_the_documented_body_altered_anywhere_is_refused(case: dict[str, Any]) -> None:
    payload, wire = payload_of(case), framed(case)
    places = [*range(90), 70, 5_000, 65_500, *range(65_620, 65_720), 66_000, *range(len(wire) - 250, len(wire))]
    for at in places:
        changed = wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1 :]
        with pytest.raises(AwsError):
            pytest.fail(f"byte {at}: {decode(payload, changed)}")


@pytest.mark.parametrize("case", DOCUMENTED)
def test_the_documented_body_cut_anywhere_is_refused(case: dict[str, Any]) -> None:
    payload, wire = payload_of(case), framed(case)
    for end in [*range(200), 40_000, *range(65_600, 65_800), *range(len(wire) - 300, len(wire))]:
        with pytest.raises(AwsError):
            decode(payload, wire[:end])


def test_no_byte_of_a_signed_chunk_is_released_before_its_signature_is_right() -> None:
    wire = encode([b"x" * 10_000, b"y" * 10_000], sign=True)
    decoder = ChunkDecoder(described(20_000, sign=True))
    second = wire.index(b"y" * 100)
    assert b"".join(decoder.feed(wire[: second + 9_999])) == b"x" * 10_000
    with pytest.raises(AwsError) as caught:
        decoder.feed(b"z" + wire[second + 10_000 :])
    assert caught.value.code == "SignatureDoesNotMatch"
    for more in (b"\r\n", b"", wire):
        with pytest.raises(AwsError):
            decoder.feed(more)
    with pytest.raises(AwsError):
        decoder.finish()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 5000), max_size=12),
    st.sampled_from([b"", b"\r\n"]),
)
def test_what_is_framed_comes_back(parts: list[bytes], sign: bool, trail: bool, cuts: list[int], gap: bytes) -> None:
    if sign:
        parts = [part * (8192 // len(part) + 1) for part in parts]
    body = b"".join(parts)
    trailers = crc32(body) if trail else None
    wire = encode(parts, sign=sign, trailers=trailers, gap=gap if sign else b"")
    assert decode(described(len(body), sign=sign, trailers=trailers), *split(wire, cuts)) == (body, trailers or {})


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(st.binary(max_size=30) | st.sampled_from([b"3\r\nabc\r\n", b"0\r\n", b"\r\n", b"a:b\r\n"]), max_size=6),
)
def test_no_bytes_do_worse_than_an_aws_error(sign: bool, pieces: list[bytes]) -> None:
    try:
        body, trailers = decode(described(3, sign=sign), *pieces)
    except AwsError:
        return
    assert not sign
    assert len(body) == 3
    assert trailers == {}


REFUSED = [
    # name, body, payload, code
    ("shorter", b"2\r\nab\r\n0\r\n\r\n", described(3, sign=False), "IncompleteBody"),
    ("longer", b"4\r\nabcd\r\n0\r\n\r\n", described(3, sign=False), "IncompleteBody"),
    ("unframed", b"abc", described(3, sign=False), "IncompleteBody"),
    ("bad size", b"-3\r\nabc\r\n0\r\n\r\n", described(3, sign=False), "InvalidRequest"),
    ("long header", b"3;" + b"x" * 9000, described(3, sign=False), "InvalidRequest"),
    ("chunk longer than it says", b"3\r\nabcd\r\n0\r\n\r\n", described(3, sign=False), "InvalidRequest"),
    ("more after the end", b"3\r\nabc\r\n0\r\n\r\nx", described(3, sign=False), "InvalidRequest"),
    ("unsigned chunk", b"3\r\nabc\r\n0\r\n\r\n", described(3, sign=True), "InvalidRequest"),
    ("undeclared trailer", b"3\r\nabc\r\n0\r\na:b\r\n\r\n", described(3, sign=False), "MalformedTrailerError"),
    (
        "missing trailer",
        b"3\r\nabc\r\n0\r\n\r\n",
        described(3, sign=False, trailers={"a": ""}),
        "MalformedTrailerError",
    ),
    (
        "trailer twice",
        b"0\r\na:b\r\na:b\r\n\r\n",
        described(0, sign=False, trailers={"a": ""}),
        "MalformedTrailerError",
    ),
    (
        "trailer without colon",
        b"0\r\nab\r\n\r\n",
        described(0, sign=False, trailers={"a": ""}),
        "MalformedTrailerError",
    ),
    (
        "endless trailer",
        b"0\r\na:" + b"b" * 9000,
        described(0, sign=False, trailers={"a": ""}),
        "MalformedTrailerError",
    ),
    (
        "trailer unsigned",
        encode([], sign=True)[:-2] + b"a:b\r\n\r\n",
        described(0, sign=True, trailers={"a": ""}),
        "IncompleteBody",
    ),
    (
        "checksum of another length",
        b"0\r\nx-amz-checksum-crc32:AAA=\r\n\r\n",
        described(0, sign=False, trailers={"x-amz-checksum-crc32": ""}),
        "InvalidRequest",
    ),
    (
        "huge signed chunk",
        f"{MOST_SIGNED_CHUNK_BYTES + 1:x};chunk-signature={'0' * 64}\r\n".encode(),
        described(1 << 30, sign=True),
        "InvalidRequest",
    ),
    ("small chunk before the last", encode([b"a", b"b"], sign=True), described(2, sign=True), "InvalidChunkSizeError"),
]


@pytest.mark.parametrize(("name", "body", "payload", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_wrong_frame_is_refused(name: str, body: bytes, payload: Payload, code: str) -> None:
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        with pytest.raises(AwsError) as caught:
            decode(payload, *pieces)
        assert caught.value.code == code


# --- VerifiedBody ---------------------------------------------------------------------------------------------------


def body_of(
    pieces: list[bytes], payload: Payload, executor: ThreadPoolExecutor | None = None, **headers: str
) -> VerifiedBody:
    waiting = iter(pieces)

    async def receive() -> bytes:
        return next(waiting, b"")

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return verified_body(Request("PUT", "/b/k", "", named, receive=receive), payload, executor)


def read(body: VerifiedBody, most_bytes: int = 1 << 30) -> bytes:
    return asyncio.run(body.read_all(most_bytes))


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("size", [0, 1, HASH_BATCH_BYTES - 1, 3 * HASH_BATCH_BYTES + 5, 20 * HASH_BATCH_BYTES])
def test_a_hashed_body_is_read_whole_and_compared_at_its_end(threads: bool, size: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    pieces = [data[at : at + 65_536] for at in range(0, size, 65_536)]
    payload = Payload("sha256", hashlib.sha256(data).hexdigest())
    with ThreadPoolExecutor(2) as pool:
        executor = pool if threads else None
        assert read(body_of(pieces, payload, executor, content_length=str(size))) == data
        for wrong in ([*pieces, b"x"], [*pieces[:-1], b"x"], [*pieces[1:], *pieces[:1]]):
            if b"".join(wrong) != data:
                with pytest.raises(AwsError) as caught:
                    read(body_of(wrong, payload, executor))
                assert caught.value.code == "XAmzContentSHA256Mismatch"


@pytest.mark.parametrize("kind", ["unsigned", "sha256"])
@pytest.mark.parametrize("length", ["2", "4"])
def test_a_body_of_another_length_than_declared_is_refused(kind: Any, length: str) -> None:
    payload = Payload(kind, hashlib.sha256(b"abc").hexdigest())
    with pytest.raises(AwsError) as caught:
        read(body_of([b"abc"], payload, content_length=length))
    assert caught.value.code == "IncompleteBody"


def test_a_refused_body_stays_refused() -> None:
    async def twice(body: VerifiedBody) -> list[str]:
        codes = []
        for _ in range(2):
            try:
                await body.read_all(100)
            except AwsError as error:
                codes.append(error.code)
        return codes

    assert asyncio.run(twice(body_of([b"abc"], Payload("unsigned"), content_length="4"))) == ["IncompleteBody"] * 2


def test_a_chunked_body_gives_its_trailers_once_read() -> None:
    trailers = crc32(b"abc")
    wire = encode([b"abc"], sign=False, trailers=trailers)
    body = body_of([wire[:5], wire[5:]], described(3, sign=False, trailers=trailers), content_length=str(len(wire)))
    assert body.length == 3
    assert read(body) == b"abc"
    assert body.trailers == trailers
    assert read(body) == b""


def test_a_buffered_body_is_read_and_verified_the_same_way() -> None:
    payload = Payload("sha256", hashlib.sha256(b"abc").hexdigest())
    assert read(verified_body(Request("PUT", "/", "", {}, body=b"abc"), payload)) == b"abc"
    with pytest.raises(AwsError):
        read(verified_body(Request("PUT", "/", "", {}, body=b"abd"), payload))


@pytest.mark.parametrize("length", [{}, {"content_length": "6"}])
def test_a_body_longer_than_its_reader_takes_is_refused(length: dict[str, str]) -> None:
    with pytest.raises(AwsError) as caught:
        read(body_of([b"abc", b"def"], Payload("unsigned"), **length), 5)
    assert caught.value.code == "MaxMessageLengthExceeded"

"""The multipart body of a request. The recording goes into memory of its own as it arrives, bounded, and nothing touches a disk."""

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import Self

from fastapi import Request
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from ..speech.waveform import memory
from .errors import ApiError

MIB = 1024 * 1024
# For the other fields and the multipart framing.
OVERHEAD = MIB
# All of the other fields, which this process holds until the reply.
BESIDE = 2 * MIB
# A body over the limit is read on a little, because a client that is still sending does not see an answer.
GRACE = 64 * MIB
ADVICE = "Have an HTTP library write the form, and send it again."
# Bytes that show that an upload goes on: a byte now and then would hold a place for ever.
PROGRESS = 32 * 1024


class Upload:
    """A recording as it was sent; a context manager that gives its memory back.

    `file` is a descriptor of anonymous memory, `fields` every value of every other field in the order they came.
    """

    def __init__(self, file: int, fields: dict[str, list[str]]) -> None:
        self.file = file
        self.fields = fields

    def close(self) -> None:
        """Close the descriptor."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Parser(MultiPartParser):
    """Writes the file of the name `file` to `self.file` as it comes, and counts all of it; files of other names are dropped."""

    spool_max_size = 0  # SpooledTemporaryFile: never roll over to a file.

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], limit: int) -> None:
        super().__init__(headers, stream, max_files=8, max_fields=256)
        self.file = -1
        self.size = 0
        self.whole = False
        """Whether the end of the file has come."""
        self.begun = False
        self.ended = False
        """Whether the end of the body has."""
        self._limit = limit
        self._taking = False
        self._beside = 0
        """Bytes of the other fields, which are held in this process."""

    def on_part_begin(self) -> None:
        """Begin the headers of a part."""
        super().on_part_begin()
        self.begun = True

    def on_headers_finished(self) -> None:
        """Begin a part."""
        super().on_headers_finished()
        part = self._current_part
        self._taking = part.file is not None and part.field_name == "file"
        if self._taking:
            if self.file >= 0:
                raise ApiError(400, "The field `file` is there twice. Send one recording in each request.", param="file")
            self.file = memory("media")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take some of a part."""
        part = self._current_part
        if part.file is None:
            name = part.field_name[:100]
            if len(part.data) + end - start > self.max_part_size:
                raise ApiError(400, f"The field `{name}` is larger than 1 MiB. Shorten it.", param=name)
            self._beside += end - start
            if self._beside > BESIDE:
                raise ApiError(400, "The fields beside `file` are larger than 2 MiB together. Shorten them.", param=name)
            part.data += data[start:end]
        elif self._taking:
            room = max(self._limit - self.size, 0)
            self.size += end - start
            view = memoryview(data)[start : min(end, start + room)]
            while view:
                view = view[os.write(self.file, view) :]

    def on_part_end(self) -> None:
        """End a part."""
        part = self._current_part
        if part.file is None:
            try:
                self.items.append((part.field_name, part.data.decode()))
            except UnicodeDecodeError:
                name = part.field_name[:100]
                raise ApiError(400, f"The field `{name}` is not UTF-8. Send its text in that encoding.", param=name) from None
        self.whole = self.whole or self._taking

    def on_end(self) -> None:
        """End the body."""
        self.ended = True

    def close(self) -> None:
        """Give back what was taken."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


async def receive(request: Request, limit: int, stall: float) -> Upload:
    """Read a request whose file may have `limit` bytes. The caller closes the upload.

    Raises ApiError: 415, 413, 400, or 408 when less than PROGRESS bytes came within `stall` seconds.
    """
    try:
        async with asyncio.timeout(stall) as patience:
            return await _receive(request, limit, stall, patience)
    except TimeoutError:
        raise ApiError(
            408,
            f"Less than {PROGRESS // 1024} KiB of the upload came in {stall:g} seconds, and it was given up. "
            "Check the network, and send it again.",
            param="file",
            code="upload_stalled",
            # What of the body may still come belongs to no request.
            headers={"Connection": "close"},
        ) from None


async def _receive(request: Request, limit: int, stall: float, patience: asyncio.Timeout) -> Upload:
    stream = _bounded(request, limit, stall, patience)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "multipart/form-data":
        async for _ in stream:
            pass
        raise ApiError(415, "The body must be multipart/form-data with the recording in the field `file`.")
    parser = _Parser(request.headers, stream, limit)
    try:
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise ApiError(400, f"The multipart body cannot be read: {error.message} {ADVICE}") from None
        # Of the encoding that the body's type names, as far as Python knows it.
        except UnicodeError:
            raise ApiError(400, f"The names in the multipart body cannot be read. {ADVICE}") from None
        if not parser.ended and parser.begun:
            raise ApiError(400, f"The multipart body was cut off before its last boundary. {ADVICE}", param="file")
        if not parser.whole:
            raise ApiError(400, "The field `file` is missing. Send the recording as a file in it.", param="file")
        if parser.size > limit:
            raise _too_large(limit, parser.size)
        fields: dict[str, list[str]] = {}
        for key, value in form.multi_items():
            if isinstance(value, str):
                fields.setdefault(key, []).append(value)
        await form.close()
    except BaseException:
        parser.close()
        raise
    return Upload(parser.file, fields)


async def _bounded(request: Request, limit: int, stall: float, patience: asyncio.Timeout) -> AsyncGenerator[bytes, None]:
    size = seen = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size - seen >= PROGRESS:
            seen = size
            patience.reschedule(asyncio.get_running_loop().time() + stall)
        if size > limit + GRACE:
            break
        if size <= limit + OVERHEAD:
            yield chunk
    if size > limit + OVERHEAD:
        raise _too_large(limit, size)


def _too_large(limit: int, size: int) -> ApiError:
    return ApiError(413, f"Maximum content size limit ({limit}) exceeded ({size} bytes read)", param="file")

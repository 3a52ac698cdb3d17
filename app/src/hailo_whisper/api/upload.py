"""The multipart body of a request, kept in memory and bounded while it arrives: nothing of it touches a disk."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from .errors import ApiError

MIB = 1024 * 1024
# For the other fields and the multipart framing.
OVERHEAD = MIB
# A body over the limit is read on a little, because a client that is still sending does not see an answer.
GRACE = 64 * MIB


@dataclass(frozen=True)
class Upload:
    """The file's bytes, and every value of every other field in the order they came."""

    file: bytes
    fields: dict[str, list[str]]


class _Parser(MultiPartParser):
    spool_max_size = 0  # SpooledTemporaryFile: never roll over to a file


async def receive(request: Request, limit: int) -> Upload:
    """Read a request whose file may have `limit` bytes. Raises ApiError: 415, 413 or 400."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "multipart/form-data":
        async for _ in _bounded(request, limit):
            pass
        raise ApiError(415, "The body must be multipart/form-data with the recording in the field `file`.")
    try:
        form = await _Parser(request.headers, _bounded(request, limit), max_files=8, max_fields=64).parse()
    except MultiPartException as error:
        raise ApiError(400, f"The multipart body cannot be read: {error.message}") from None
    try:
        uploads = [value for key, value in form.multi_items() if key == "file" and isinstance(value, UploadFile)]
        if not uploads:
            raise ApiError(400, "The field `file` is missing. Send the recording as a file in it.", param="file")
        file = await uploads[0].read()
        if len(file) > limit:
            raise _too_large(limit, len(file))
        fields: dict[str, list[str]] = {}
        for key, value in form.multi_items():
            if isinstance(value, str):
                fields.setdefault(key, []).append(value)
        return Upload(file, fields)
    finally:
        await form.close()


async def _bounded(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit + GRACE:
            break
        if size <= limit + OVERHEAD:
            yield chunk
    if size > limit + OVERHEAD:
        raise _too_large(limit, size)


def _too_large(limit: int, size: int) -> ApiError:
    return ApiError(413, f"Maximum content size limit ({limit}) exceeded ({size} bytes read)", param="file")

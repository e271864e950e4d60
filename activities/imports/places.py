"""Where files lie outside: public HTTP addresses, and buckets that the installation has opened to its apps."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import fsspec

from channels.downloads import Downloads
from journeys.language.errors import Invalid, Problem, Refused, SojournError

WEB: Final = frozenset({"http", "https"})
# scheme -> the extra that brings it
BUCKETS: Final = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}
_PIECE_BYTES = 1024 * 1024


class PlaceFailed(SojournError):
    """A bucket did not give or take a file; says what it answered."""


@dataclass(frozen=True)
class Places:
    """Reads and writes files by URL. `opened`: beginnings of bucket URLs that may be used; {app} in them stands for the app.

    Without that bound a key of any app could read whatever the credentials of this process may.
    """

    opened: Sequence[str] = ()
    downloads: Downloads = field(default_factory=Downloads)

    async def read(self, app: str, url: str) -> AsyncIterator[bytes]:
        """The bytes of a file. Raises Invalid for an address that may not be used, and what the place answers as errors of the tree."""
        check(app, url, self.opened)
        if _scheme(url) in WEB:
            async for piece in self.downloads.fetch(url):
                yield piece
            return
        opened = await _asked(_open, url, "rb")
        try:
            while piece := await _asked(opened.read, _PIECE_BYTES):
                yield piece
        finally:
            await asyncio.to_thread(opened.close)

    async def write(self, app: str, url: str, content: AsyncIterator[bytes], size_bytes: int) -> None:
        """Put a file there, over one that there is. Raises as `read` does."""
        check(app, url, self.opened)
        if _scheme(url) in WEB:
            await self.downloads.put(url, content, size_bytes)
            return
        opened = await _asked(_open, url, "wb")
        async for piece in content:
            await _asked(opened.write, piece)
        # What was not closed is not there: a bucket shows only whole files.
        await _asked(opened.close)


def check(app: str, url: str, opened: Sequence[str]) -> None:
    """Raises Invalid, without the address, where a URL may not be used."""
    scheme = _scheme(url)
    if scheme in WEB:
        return
    if scheme not in BUCKETS:
        raise _not_there("unknown_place", "an address with http, https, s3 or gs; a file of your own is uploaded")
    if ".." in url.split("/") or not url.isprintable() or any(sign in url for sign in "*?[]#"):
        raise _not_there("unknown_place", "the address of one file, without .. and wildcards")
    if not any(url.startswith(beginning.replace("{app}", app)) for beginning in opened):
        raise _not_there("place_not_opened", "name the beginning of the address in SOJOURN_FILE_PLACES of api and workers")


def _not_there(code: str, words: str) -> Invalid:
    return Invalid([Problem("/url", code, words)])


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _open(url: str, mode: str) -> Any:
    try:
        return fsspec.open(url, mode).open()
    except ImportError as error:
        extra = BUCKETS[_scheme(url)]
        raise Refused(f"{_scheme(url)}:// needs the extra {extra}: pip install 'sojourn[{extra}]' where workers run") from error


async def _asked(call: Any, *arguments: Any) -> Any:
    """Call a place that blocks, in a thread; its own errors (each library has others) become one of ours, without their words."""
    try:
        return await asyncio.to_thread(call, *arguments)
    except SojournError:
        raise
    except Exception as error:
        raise PlaceFailed(
            f"the bucket did not answer as it should: {type(error).__name__}; look at its name and at the credentials"
        ) from error

"""Packages in Alibaba OSS, by the vendor's SDK (oss2, V4 signatures). Reads facts and lists of contents and signs URLs; never
uploads, deletes or keeps what it reads.

One client of a bucket serves all threads (its attributes are never changed). Reads are repeated here, since repeating them
is harmless: at most `ATTEMPTS` times within the deadline.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from engine.cloud import oss_errors
from engine.cloud.archives import ArchiveBroken, ArchiveTooBig, contents
from engine.cloud.calls import Calls, proxies_for, silence, split_endpoint
from engine.cloud.credentials import Credentials, CredentialsMissing, CredentialsSource
from engine.domain.archive import Member
from engine.domain.fleet import ObjectRef, Region
from engine.ports import ObjectFacts

if TYPE_CHECKING:
    import oss2

ATTEMPTS = 3
SOCKET_TIMEOUT_S = 6.0  # oss2 has one number for connecting and for each read
DEADLINE_S = 25.0
CONTENTS_S = 120.0  # for reading through one archive
KNOWN_CONTENTS = 32  # archives whose list is remembered
POOL_SIZE = 8
Read = TypeVar("Read")
LONGEST_URL_S = 604_800  # seven days, the service's own limit for V4


class OssPackages:
    """`engine.ports.Packages` on OSS. `regions` give the endpoints; a region without one is reached at its public endpoint."""

    def __init__(
        self,
        regions: Sequence[Region],
        credentials: CredentialsSource,
        *,
        socket_timeout_s: float = SOCKET_TIMEOUT_S,
        deadline_s: float = DEADLINE_S,
        pause_s: float = 0.5,
        contents_s: float = CONTENTS_S,
    ) -> None:
        """Opens nothing yet. `pause_s` is the wait before the first repetition of a read; it doubles each time."""
        self._endpoints = {region.name: region.oss_endpoint for region in regions}
        self._credentials = credentials
        self._socket_timeout_s = socket_timeout_s
        self._deadline_s = deadline_s
        self._pause_s = pause_s
        self._contents_s = contents_s
        self._known_contents: dict[tuple[str, ...], tuple[Member, ...]] = {}
        self._calls = Calls("oss", POOL_SIZE)
        self._lock = threading.Lock()
        self._session: oss2.Session | None = None
        self._buckets: dict[tuple[str, str], oss2.Bucket] = {}

    def endpoint(self, region: str) -> str:
        """With its scheme: https, unless the workspace's endpoint says http."""
        scheme, host = split_endpoint(self._endpoints.get(region, "") or f"oss-{region}.aliyuncs.com")
        return f"{scheme}://{host}"

    async def head(self, object: ObjectRef) -> ObjectFacts:
        """The object's facts now. Raises PackagesError."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._repeatedly(object, self._head, self._deadline_s)
        except TimeoutError as error:
            raise oss_errors.unanswered(object, self.endpoint(object.region), self._deadline_s) from error

    async def contents(self, object: ObjectRef) -> tuple[Member, ...]:
        """What is in the object, a .tar.gz, by its list. Raises PackagesError; `archive_broken`, `archive_not_read`."""
        try:
            async with asyncio.timeout(self._contents_s + self._deadline_s):
                return await self._repeatedly(object, self._contents, self._contents_s + self._deadline_s)
        except (TimeoutError, ArchiveTooBig) as error:
            raise oss_errors.archive_not_read(object, self._contents_s) from error
        except ArchiveBroken as error:
            raise oss_errors.archive_broken(object, error) from error

    async def _repeatedly(self, object: ObjectRef, read: Callable[[ObjectRef], Read], deadline_s: float) -> Read:
        credentials = await self._calls.run(deadline_s, self._find_credentials, object)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._calls.run(deadline_s, read, object)
            except (TimeoutError, ArchiveBroken, ArchiveTooBig):
                raise
            except Exception as error:  # noqa: BLE001 - the SDK's edge: OssError, raw requests errors, its own bugs
                if attempt == ATTEMPTS or not oss_errors.worth_repeating(error):
                    # from None: the SDK's text may hold the string to sign, and a traceback would print it.
                    raise oss_errors.to_packages_error(
                        error, object, self.endpoint(object.region), credentials
                    ) from None
            await asyncio.sleep(self._pause_s * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def _contents(self, object: ObjectRef) -> tuple[Member, ...]:
        found = self._bucket(object).get_object(object.key)
        try:
            is_now = (object.region, object.bucket, object.key, str(found.etag), str(found.server_crc))
            known = self._known_contents.get(is_now)
            if known is None:
                known = contents(found, within_s=self._contents_s)
                with self._lock:
                    while len(self._known_contents) >= KNOWN_CONTENTS:
                        self._known_contents.pop(next(iter(self._known_contents)))
                    self._known_contents[is_now] = known
            return known
        finally:
            found.close()

    def _head(self, object: ObjectRef) -> ObjectFacts:
        found = self._bucket(object).head_object(object.key)
        etag = found.etag or ""
        crc64 = found.headers.get("x-oss-hash-crc64ecma", "")
        # Only a Normal object's ETag is the content's MD5; one put in parts has "<md5 of md5s>-<parts>".
        whole = found.object_type == "Normal" and len(etag) == 32
        return ObjectFacts(found.content_length, etag, crc64, etag.upper() if whole else "")

    def signed_url(self, object: ObjectRef, expires_s: int) -> str:
        """A V4-signed GET URL, valid for `expires_s` seconds (1–604,800, ValueError otherwise). It is a secret. No call is
        made: the object may be missing. Raises PackagesError."""
        if not 1 <= expires_s <= LONGEST_URL_S:
            raise ValueError(f"a signed URL lives 1 to {LONGEST_URL_S} seconds, not {expires_s}")
        credentials = self._find_credentials(object)
        if not object.region:  # oss2 would sign for an empty region, a URL that can never work
            raise oss_errors.no_region(object)
        try:
            url = self._bucket(object).sign_url("GET", object.key, expires_s, slash_safe=True)
        except Exception as error:  # noqa: BLE001 - the SDK's edge, as above
            raise oss_errors.to_packages_error(error, object, self.endpoint(object.region), credentials) from None
        return str(url)

    def _find_credentials(self, object: ObjectRef) -> Credentials:
        try:
            return self._credentials.find()
        except CredentialsMissing as missing:
            raise oss_errors.no_credentials(object, missing) from missing

    def _bucket(self, object: ObjectRef) -> oss2.Bucket:
        oss2 = _import_oss2()
        with self._lock:
            if self._session is None:
                self._session = oss2.Session(pool_size=POOL_SIZE)
            known = self._buckets.get((object.region, object.bucket))
            if known is None:
                endpoint = self.endpoint(object.region)
                known = oss2.Bucket(
                    oss2.ProviderAuthV4(_Provider(self._credentials)),
                    endpoint,
                    object.bucket,
                    session=self._session,
                    connect_timeout=self._socket_timeout_s,
                    proxies=proxies_for(endpoint),
                    region=object.region or None,
                )
                self._buckets[object.region, object.bucket] = known
            return known


class _Provider:
    """Hands oss2 the credentials of now at every request, so that a renewed temporary key is used."""

    def __init__(self, source: CredentialsSource) -> None:
        self._source = source

    def get_credentials(self) -> Any:
        from oss2.credentials import Credentials as OssCredentials

        found = self._source.find()
        return OssCredentials(found.access_key_id, found.access_key_secret, found.security_token or "")


@cache
def _import_oss2() -> Any:
    import oss2

    silence("oss2")
    return oss2

"""The contract of `engine.ports.Packages`. The first part is a kit: every adapter passes it, given a `World` to run it in. The
second part is what only the SDK on the wire can get wrong: signatures, clocks, bodies, silence."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import platform
import subprocess
import sys
import tarfile
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import oss2
import pytest

from cockpit.lab.oss import AccessKey, OssEndpoint
from engine.cloud.credentials import CredentialsSource
from engine.cloud.oss import OssPackages
from engine.cloud.role_providers import Places
from engine.domain.archive import Member, MemberKind
from engine.domain.fleet import ObjectRef, Region
from engine.ports import Packages, PackagesError
from tests.support.certificate import LoopbackCertificate

REGION = "cn-hangzhou"
SECRET = "lab-secret-of-the-test"
KEY = "packages/trade-core-2.0.0.tar.gz"
CONTENT = b"one release package " * 500


class World(Protocol):
    """What a kit test needs of the place an adapter runs in."""

    packages: Packages

    def put(self, key: str, content: bytes, *, parts: int = 0) -> None: ...
    def deny(self) -> None: ...
    def fail_reads(self, count: int) -> None: ...
    def disappear(self) -> None: ...
    def make_keys_unknown(self) -> None: ...
    def skew_clock(self) -> None: ...


@dataclass
class LabWorld:
    """The vendor's SDK against the lab's endpoint."""

    endpoint: OssEndpoint
    packages: Packages

    def put(self, key: str, content: bytes, *, parts: int = 0) -> None:
        self.endpoint.put_local("lab", key, content, parts=parts)

    def deny(self) -> None:
        self.endpoint.faults.denied = -1

    def fail_reads(self, count: int) -> None:
        self.endpoint.faults.unavailable = count

    def disappear(self) -> None:
        self.endpoint.faults.no_answer = -1

    def make_keys_unknown(self) -> None:
        self.endpoint.keys.clear()

    def skew_clock(self) -> None:
        self.endpoint.clock_offset_s = 16 * 60


def source(access_key_id: str = "lab-key", secret: str = SECRET, token: str = "") -> CredentialsSource:
    return CredentialsSource(
        environ={
            "ALIBABA_CLOUD_ACCESS_KEY_ID": access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret,
            "ALIBABA_CLOUD_SECURITY_TOKEN": token,
        },
        default_file=Path("/nonexistent/credentials"),
        places=Places(metadata=""),
    )


def adapter(endpoint: OssEndpoint, credentials: CredentialsSource | None = None, deadline_s: float = 10) -> OssPackages:
    regions = [Region(REGION, oss_endpoint=endpoint.url)]
    return OssPackages(regions, credentials or source(), socket_timeout_s=1.0, deadline_s=deadline_s, pause_s=0.01)


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bare SDK would send the lab's requests through a proxy of whoever runs the tests; ours must not (see below)."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[OssEndpoint]:
    started = OssEndpoint(tmp_path / "oss", keys=(AccessKey("lab-key", SECRET),), region=REGION)
    await started.start()
    started.put_local("lab", KEY, CONTENT)
    yield started
    await started.stop()


@pytest.fixture(params=["sdk-on-lab"])
async def world(request: pytest.FixtureRequest, endpoint: OssEndpoint) -> World:
    return LabWorld(endpoint, adapter(endpoint))


def ref(key: str = KEY, bucket: str = "lab") -> ObjectRef:
    return ObjectRef(REGION, bucket, key)


async def problem_of_head(packages: Packages, object: ObjectRef) -> tuple[str, str]:
    with pytest.raises(PackagesError) as caught:
        await packages.head(object)
    problem = caught.value.problem
    assert str(problem.what).endswith(".")
    assert str(problem.remedy).endswith(".")
    printed = "".join(traceback.format_exception(caught.value)) + problem.evidence
    assert SECRET not in printed
    return problem.code, f"{problem} {problem.evidence}"


# ---- the kit


async def test_head_tells_size_and_checksums_of_an_object_put_in_one_piece(world: World) -> None:
    facts = await world.packages.head(ref())
    assert facts.size == len(CONTENT)
    assert facts.md5 == facts.etag == hashlib.md5(CONTENT).hexdigest().upper()
    assert facts.crc64.isdigit()


async def test_the_etag_of_an_object_put_in_parts_is_never_taken_for_its_md5(world: World) -> None:
    world.put("packages/big.tar.gz", CONTENT, parts=3)
    facts = await world.packages.head(ref("packages/big.tar.gz"))
    assert facts.md5 == ""
    assert facts.etag.endswith("-3")
    assert facts.size == len(CONTENT)


async def test_a_replaced_object_shows_by_its_checksums(world: World) -> None:
    before = await world.packages.head(ref())
    world.put(KEY, CONTENT[::-1])
    after = await world.packages.head(ref())
    assert after.size == before.size
    assert after.md5 != before.md5
    assert after.crc64 != before.crc64


async def test_a_package_that_was_never_uploaded_is_missing(world: World) -> None:
    code, said = await problem_of_head(world.packages, ref("packages/nothing.tar.gz"))
    assert code == "package_missing"
    assert "packages/nothing.tar.gz" in said


async def test_a_bucket_that_does_not_exist_is_told_apart_from_a_missing_package(world: World) -> None:
    code, said = await problem_of_head(world.packages, ref(bucket="nowhere"))
    assert code == "bucket_missing"
    assert "nowhere" in said


async def test_a_denied_read_names_the_object(world: World) -> None:
    world.deny()
    code, said = await problem_of_head(world.packages, ref())
    assert code == "oss_denied"
    assert KEY in said


async def test_a_passing_outage_is_not_noticed(world: World) -> None:
    world.fail_reads(2)
    assert (await world.packages.head(ref())).size == len(CONTENT)


async def test_a_lasting_outage_ends_in_bounded_time(world: World) -> None:
    world.fail_reads(-1)
    code, _ = await problem_of_head(world.packages, ref())
    assert code == "oss_failed"


async def test_an_endpoint_that_hangs_up_is_unreachable(world: World) -> None:
    world.disappear()
    code, _ = await problem_of_head(world.packages, ref())
    assert code == "oss_unreachable"


async def test_an_unknown_access_key_is_a_matter_of_credentials(world: World) -> None:
    world.make_keys_unknown()
    code, _ = await problem_of_head(world.packages, ref())
    assert code == "oss_credentials"


async def test_a_wrong_clock_is_named_as_such(world: World) -> None:
    world.skew_clock()
    code, said = await problem_of_head(world.packages, ref())
    assert code == "oss_clock_skew"
    assert "clock" in said


def packed(*entries: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for one in entries:
            tar.addfile(one, io.BytesIO(bytes(one.size)))
    return out.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


async def test_the_contents_of_an_archive_are_told_without_unpacking_it(world: World) -> None:
    world.put(
        "stacks/node.tar.gz",
        packed(
            entry("lib", tarfile.DIRTYPE),
            entry("lib/npm.js", size=3_000_000),
            entry("bin/npm", tarfile.SYMTYPE, "../lib/npm.js"),
            entry("same", tarfile.LNKTYPE, "lib/npm.js"),
            entry("dev/null", tarfile.CHRTYPE),
        ),
    )
    for _ in range(2):
        assert await world.packages.contents(ref("stacks/node.tar.gz")) == (
            Member("lib", MemberKind.FOLDER),
            Member("lib/npm.js", MemberKind.FILE),
            Member("bin/npm", MemberKind.LINK, "../lib/npm.js"),
            Member("same", MemberKind.HARD_LINK, "lib/npm.js"),
            Member("dev/null", MemberKind.OTHER),
        )
    world.put("stacks/node.tar.gz", packed(entry("other")))
    assert await world.packages.contents(ref("stacks/node.tar.gz")) == (Member("other", MemberKind.FILE),)


async def test_what_is_no_archive_is_said_to_be_none(world: World) -> None:
    whole = packed(entry("big", size=400_000), entry("last"))
    for content in (b"no archive at all", b"", whole[: len(whole) // 2]):
        world.put("stacks/broken.tar.gz", content)
        with pytest.raises(PackagesError) as caught:
            await world.packages.contents(ref("stacks/broken.tar.gz"))
        assert caught.value.problem.code == "archive_broken"


async def test_contents_of_a_missing_archive_are_missing(world: World) -> None:
    with pytest.raises(PackagesError) as caught:
        await world.packages.contents(ref("stacks/nothing.tar.gz"))
    assert caught.value.problem.code == "package_missing"


async def test_contents_are_read_again_after_a_passing_outage(world: World) -> None:
    world.put("stacks/one.tar.gz", packed(entry("one")))
    world.fail_reads(2)
    assert await world.packages.contents(ref("stacks/one.tar.gz")) == (Member("one", MemberKind.FILE),)


async def test_a_signed_url_holds_no_secret_and_lives_as_long_as_asked(world: World) -> None:
    url = world.packages.signed_url(ref(), 90)
    assert SECRET not in url
    assert f"/{KEY}?" in url  # the slashes of the key stay readable
    assert "x-oss-expires=90" in url
    for impossible in (0, 604_801):
        with pytest.raises(ValueError, match="604800"):
            world.packages.signed_url(ref(), impossible)


# ---- the SDK on the wire


def curl(url: str, *options: str, target: Path) -> subprocess.CompletedProcess[bytes]:
    """As a host does it: the URL is read from stdin and never seen in an argument list."""
    return subprocess.run(
        ["curl", "-sS", "-o", str(target), "-w", "%{http_code}", *options, "-K", "-"],
        input=f'url = "{url}"\n'.encode(),
        capture_output=True,
        timeout=20,
        env={**os.environ, "no_proxy": "*"},
    )


@pytest.mark.parametrize("key", [KEY, "packages/a b+c%2F交易.tar.gz", "x//y.tgz"])
async def test_a_signed_url_downloads_with_curl_from_stdin(endpoint: OssEndpoint, key: str, tmp_path: Path) -> None:
    endpoint.put_local("lab", key, CONTENT)
    url = adapter(endpoint).signed_url(ref(key), 60)
    done = await asyncio.to_thread(curl, url, target=tmp_path / "got")
    assert done.stdout == b"200", done.stderr
    assert (tmp_path / "got").read_bytes() == CONTENT


async def test_a_broken_download_is_resumed_with_the_same_url(endpoint: OssEndpoint, tmp_path: Path) -> None:
    url, target = adapter(endpoint).signed_url(ref(), 60), tmp_path / "got"
    endpoint.faults.truncated = 1
    broken = await asyncio.to_thread(curl, url, target=target)
    assert broken.returncode == 18, broken.stderr  # curl's code for a body that ended early
    assert 0 < target.stat().st_size < len(CONTENT)
    resumed = await asyncio.to_thread(curl, url, "-C", "-", target=target)
    assert resumed.stdout == b"206", resumed.stderr
    assert target.read_bytes() == CONTENT


async def test_a_flipped_bit_arrives_with_the_right_size_so_only_a_checksum_finds_it(
    endpoint: OssEndpoint, tmp_path: Path
) -> None:
    packages, target = adapter(endpoint), tmp_path / "got"
    facts = await packages.head(ref())
    endpoint.faults.flipped = 1
    done = await asyncio.to_thread(curl, packages.signed_url(ref(), 60), target=target)
    assert done.stdout == b"200"
    assert target.stat().st_size == facts.size
    assert hashlib.md5(target.read_bytes()).hexdigest().upper() != facts.md5


async def test_an_archive_that_comes_too_slowly_is_given_up_in_bounded_time(endpoint: OssEndpoint) -> None:
    endpoint.put_local("lab", "stacks/slow.tar.gz", packed(entry("one", size=5_000_000)))
    slow = OssPackages([Region(REGION, oss_endpoint=endpoint.url)], source(), contents_s=0.0)
    with pytest.raises(PackagesError) as caught:
        await slow.contents(ref("stacks/slow.tar.gz"))
    assert caught.value.problem.code == "archive_not_read"


async def test_an_expired_url_is_denied(endpoint: OssEndpoint, tmp_path: Path) -> None:
    url = adapter(endpoint).signed_url(ref(), 60)
    endpoint.clock_offset_s = 61
    done = await asyncio.to_thread(curl, url, target=tmp_path / "got")
    assert done.stdout == b"403"
    said = (tmp_path / "got").read_text()
    assert "<Code>AccessDenied</Code>" in said
    assert "Request has expired." in said


async def test_a_url_is_bound_to_its_method_and_its_key(endpoint: OssEndpoint, tmp_path: Path) -> None:
    endpoint.put_local("lab", "other", b"secret of another app")
    url = adapter(endpoint).signed_url(ref(), 60)
    head = await asyncio.to_thread(curl, url, "-I", target=tmp_path / "head")
    other = await asyncio.to_thread(curl, url.replace(KEY, "other"), target=tmp_path / "other")
    assert head.stdout == other.stdout == b"403"


async def test_a_wrong_secret_is_refused_and_never_shown(endpoint: OssEndpoint) -> None:
    packages = adapter(endpoint, source(secret="not-the-right-secret"))
    code, said = await problem_of_head(packages, ref())
    assert code == "oss_credentials"
    assert "SignatureDoesNotMatch" in said
    assert "not-the-right-secret" not in said
    assert "UNSIGNED-PAYLOAD" not in said  # nothing of the string to sign


async def test_a_temporary_key_works_with_its_token_only(endpoint: OssEndpoint, tmp_path: Path) -> None:
    endpoint.keys["STS.1"] = AccessKey("STS.1", SECRET, "the-token")
    with_token = adapter(endpoint, source("STS.1", token="the-token"))
    assert (await with_token.head(ref())).size == len(CONTENT)
    done = await asyncio.to_thread(curl, with_token.signed_url(ref(), 60), target=tmp_path / "got")
    assert done.stdout == b"200"
    code, _ = await problem_of_head(adapter(endpoint, source("STS.1", token="old")), ref())
    assert code == "oss_credentials"


async def test_without_credentials_the_problem_says_where_we_looked(endpoint: OssEndpoint, tmp_path: Path) -> None:
    nothing = CredentialsSource(
        tmp_path / "mine.ini", environ={}, default_file=tmp_path / "default.ini", places=Places(metadata="")
    )
    packages = adapter(endpoint, nothing)
    code, said = await problem_of_head(packages, ref())
    assert code == "oss_credentials"
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in said
    assert str(tmp_path / "mine.ini") in said
    assert str(tmp_path / "default.ini") in said
    with pytest.raises(PackagesError) as caught:
        packages.signed_url(ref(), 60)
    assert caught.value.problem.code == "oss_credentials"
    assert f"Process {os.getpid()} on {platform.node()}, running since" in str(caught.value.problem.remedy)
    assert not endpoint.seen  # no call was made


async def test_a_silent_endpoint_is_given_up_at_the_deadline(endpoint: OssEndpoint) -> None:
    endpoint.faults.stalled_answer = -1
    packages = adapter(endpoint, deadline_s=0.5)
    started = asyncio.get_running_loop().time()
    code, _ = await problem_of_head(packages, ref())
    assert code == "oss_unreachable"
    assert asyncio.get_running_loop().time() - started < 3


async def test_nobody_listening_is_unreachable(endpoint: OssEndpoint) -> None:
    packages = adapter(endpoint)
    await endpoint.stop()
    code, said = await problem_of_head(packages, ref())
    assert code == "oss_unreachable"
    assert endpoint.url in said


async def test_outages_are_asked_about_three_times_and_refusals_once(endpoint: OssEndpoint) -> None:
    endpoint.faults.unavailable = -1
    await problem_of_head(adapter(endpoint), ref())
    assert [seen.status for seen in endpoint.seen] == [503, 503, 503]
    endpoint.faults.unavailable = 0
    endpoint.seen.clear()
    await problem_of_head(adapter(endpoint), ref("nothing"))
    assert [seen.code for seen in endpoint.seen] == ["NoSuchKey"]


async def test_a_package_without_a_region_gets_no_url_that_could_never_work(endpoint: OssEndpoint) -> None:
    with pytest.raises(PackagesError) as caught:
        adapter(endpoint).signed_url(ObjectRef("", "lab", KEY), 60)
    assert "region" in str(caught.value)


def test_a_region_without_an_endpoint_is_reached_over_https_at_its_public_name() -> None:
    packages = OssPackages([Region(REGION), Region("cn-lab", oss_endpoint="oss.internal:8443")], source())
    assert packages.endpoint(REGION) == "https://oss-cn-hangzhou.aliyuncs.com"
    assert packages.endpoint("cn-lab") == "https://oss.internal:8443"
    url = packages.signed_url(ref(), 60)
    assert url.startswith(f"https://lab.oss-cn-hangzhou.aliyuncs.com/{KEY}?")


async def test_https_works_with_a_trusted_certificate_and_with_no_other(
    endpoint: OssEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = LoopbackCertificate(tmp_path)
    await endpoint.stop()
    await endpoint.start(tls=certificate.context())
    code, said = await problem_of_head(adapter(endpoint), ref())
    assert code == "oss_unreachable"
    assert "certificate" in said.lower()
    assert not endpoint.seen
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    assert (await adapter(endpoint).head(ref())).size == len(CONTENT)


async def test_a_proxy_of_the_environment_is_not_used_for_the_lab(
    endpoint: OssEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert (await adapter(endpoint).head(ref())).size == len(CONTENT)


async def test_the_sdk_writes_nothing_to_the_screen(endpoint: OssEndpoint, capfd: pytest.CaptureFixture[str]) -> None:
    await problem_of_head(adapter(endpoint, source(secret="wrong")), ref())
    await adapter(endpoint).head(ref())
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_importing_the_cloud_does_not_import_the_sdks() -> None:
    program = (
        "import sys, engine.cloud.cloud; print([m for m in ('oss2', 'aliyunsdkcore', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[]", done.stderr


# ---- the endpoint itself, driven by the unmodified SDK with either signature


@pytest.mark.parametrize("auth", [oss2.Auth, oss2.AuthV4])
async def test_the_endpoint_answers_the_sdk_as_oss_does(endpoint: OssEndpoint, auth: type) -> None:
    def drive() -> None:
        bucket = oss2.Bucket(auth("lab-key", SECRET), endpoint.url, "lab", region=REGION)
        put = bucket.put_object("dir/a b+中", b"0123456789")  # oss2 compares the CRC-64 itself
        crc64 = oss2.utils.Crc64()
        crc64.update(b"0123456789")
        assert put.crc == crc64.crc
        assert bucket.get_object("dir/a b+中").read() == b"0123456789"
        inside = bucket.get_object("dir/a b+中", byte_range=(2, 4))
        assert (inside.status, inside.read()) == (206, b"234")
        beyond = bucket.get_object("dir/a b+中", byte_range=(5, 99))  # an invalid range: the whole object
        assert (beyond.status, beyond.read()) == (200, b"0123456789")
        standard = {"x-oss-range-behavior": "standard"}
        cut = bucket.get_object("dir/a b+中", byte_range=(5, 99), headers=standard)
        assert (cut.status, cut.read()) == (206, b"56789")
        with pytest.raises(oss2.exceptions.ServerError) as range_error:
            bucket.get_object("dir/a b+中", byte_range=(10, 99), headers=standard)
        assert (range_error.value.status, range_error.value.code) == (416, "InvalidRange")
        with pytest.raises(oss2.exceptions.ServerError) as exists:
            bucket.put_object("dir/a b+中", b"other", headers={"x-oss-forbid-overwrite": "true"})
        assert exists.value.code == "FileAlreadyExists"
        with pytest.raises(oss2.exceptions.InvalidDigest):
            bucket.put_object("bad", b"other", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
        assert not bucket.object_exists("bad")
        bucket.delete_object("dir/a b+中")
        with pytest.raises(oss2.exceptions.NoSuchKey):
            bucket.head_object("dir/a b+中")

    await asyncio.to_thread(drive)


@pytest.mark.parametrize("auth", [oss2.Auth, oss2.AuthV4])
async def test_listing_gives_every_object_once_over_many_pages(endpoint: OssEndpoint, auth: type) -> None:
    keys = sorted(f"list/{folder}/{n}" for folder in ("a", "b") for n in range(5))
    for key in keys:
        endpoint.put_local("lab", key, b"x")

    def drive() -> tuple[list[str], list[str]]:
        bucket = oss2.Bucket(auth("lab-key", SECRET), endpoint.url, "lab", region=REGION)
        every = [found.key for found in oss2.ObjectIteratorV2(bucket, prefix="list/", max_keys=3)]
        folders = [found.key for found in oss2.ObjectIteratorV2(bucket, prefix="list/", delimiter="/", max_keys=1)]
        return every, folders

    every, folders = await asyncio.to_thread(drive)
    assert every == keys
    assert folders == ["list/a/", "list/b/"]


@pytest.mark.parametrize(("fault", "error"), [("flipped", oss2.exceptions.InconsistentError), ("truncated", Exception)])
async def test_the_sdk_notices_a_body_that_is_not_what_was_stored(
    endpoint: OssEndpoint, fault: str, error: type[Exception], tmp_path: Path
) -> None:
    setattr(endpoint.faults, fault, 1)

    def drive() -> None:
        bucket = oss2.Bucket(oss2.AuthV4("lab-key", SECRET), endpoint.url, "lab", region=REGION)
        with pytest.raises(error):
            bucket.get_object_to_file(KEY, str(tmp_path / "got"))
        bucket.get_object_to_file(KEY, str(tmp_path / "got"))

    await asyncio.to_thread(drive)
    assert (tmp_path / "got").read_bytes() == CONTENT


async def test_objects_outlive_the_endpoint(endpoint: OssEndpoint, tmp_path: Path) -> None:
    again = OssEndpoint(tmp_path / "oss", keys=(AccessKey("lab-key", SECRET),))
    await again.start()
    try:
        assert (await adapter(again).head(ref())).size == len(CONTENT)
    finally:
        await again.stop()

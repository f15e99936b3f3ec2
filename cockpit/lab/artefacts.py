"""The archives of the practice fleet: the tech stack, its SDK and the packages, built the same way every time, so that their
checksums stay. It puts nothing anywhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SAMPLE_APP = HERE / "sample_app" / "serve.py"
STACK_NAME, STACK_VERSION = "python-web", "1.0"
STACK_KEY = f"stacks/{STACK_NAME}-{STACK_VERSION}.tar.gz"
SDK_KEY = f"sdk/{STACK_NAME}-{STACK_VERSION}.tar.gz"
FAILING_VERSION = "3.0.0"
# In the order of their upload: the newest, which a new release proposes, is a good one.
PACKAGES = {"trade-core": ("1.0.0", FAILING_VERSION, "2.0.0"), "ledger": ("1.0.0",)}
# Of the apps that a lab may have beside them: what each version answers, and what it asks of the app it calls. Released in the
# wrong order, gateway 2.0.0 asks for prices that pricing 1.0.0 does not know.
MORE_PACKAGES = {"pricing": ("1.0.0", "2.0.0"), "gateway": ("1.0.0", "2.0.0")}
_INTERFACES = {
    ("pricing", "1.0.0"): "serves=/v1/\n",
    ("pricing", "2.0.0"): "serves=/v1/,/v2/\n",
    ("gateway", "1.0.0"): "calls=/v1/price\n",
    ("gateway", "2.0.0"): "calls=/v2/price\n",
}
ASSET_BYTES = 64 * 1024  # so that a package is more than its headers


@dataclass(frozen=True, slots=True)
class Artefact:
    """One object to put into OSS."""

    key: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def package_key(app: str, version: str) -> str:
    return f"packages/{app}-{version}.tar.gz"


def build(*, more_apps: bool = False) -> tuple[Artefact, ...]:
    """Every archive of the lab: the stack first, its SDK second, then the packages."""
    scripts = {f"bin/{path.name}": path.read_bytes() for path in sorted((HERE / "stack" / "bin").glob("*.sh"))}
    sdk = {path.name: path.read_bytes() for path in sorted((HERE / "stack" / "sdk").iterdir()) if path.is_file()}
    packages = (
        Artefact(package_key(app, version), _archive(_package(app, version)))
        for app, versions in (PACKAGES | (MORE_PACKAGES if more_apps else {})).items()
        for version in versions
    )
    return (Artefact(STACK_KEY, _archive(scripts)), Artefact(SDK_KEY, _archive(sdk)), *packages)


def _package(app: str, version: str) -> dict[str, bytes]:
    health = "fail" if version == FAILING_VERSION else "pass"
    return {
        "serve.py": SAMPLE_APP.read_bytes(),
        "release.txt": f"app={app}\nversion={version}\nhealth={health}\n{_INTERFACES.get((app, version), '')}".encode(),
        "assets.bin": random.Random(f"{app} {version}").randbytes(ASSET_BYTES),
    }


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

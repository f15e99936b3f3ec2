"""Makes the cloud ports of a workspace: which endpoints its regions name, and one set of credentials for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.cloud.credentials import CredentialsSource
from engine.cloud.oss import OssPackages
from engine.cloud.slb import SlbBalancers
from engine.domain.fleet import Region


class AliyunCloud:
    """`engine.ports.Cloud` on Alibaba Cloud, or on anything that speaks its protocols at the regions' endpoints.

    Workspaces with the same regions share an adapter, and with it connections and threads.
    """

    def __init__(
        self, credentials_file: Path | None = None, *, environ: Callable[[], Mapping[str, str]] | None = None
    ) -> None:
        """`credentials_file` is the settings' one; the environment goes before it and the places of the vendor's tools after it.
        `environ` gives the environment of now."""
        self.credentials = CredentialsSource(credentials_file, environ=environ)
        self._packages: dict[tuple[Region, ...], OssPackages] = {}
        self._balancers: dict[tuple[Region, ...], SlbBalancers] = {}

    def packages(self, regions: Sequence[Region]) -> OssPackages:
        key = tuple(regions)
        if key not in self._packages:
            self._packages[key] = OssPackages(key, self.credentials)
        return self._packages[key]

    def balancers(self, regions: Sequence[Region]) -> SlbBalancers:
        key = tuple(regions)
        if key not in self._balancers:
            self._balancers[key] = SlbBalancers(key, self.credentials)
        return self._balancers[key]

"""The lab's choice of a server and its archives, without a process or a port."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from cockpit.lab import artefacts
from cockpit.lab.balancer import SmoothWeights
from cockpit.lab.layout import PROD, layout_of
from cockpit.lab.load import LoadGenerator

A, B, C = ("i-a", 80), ("i-b", 80), ("i-c", 80)


def test_every_server_gets_its_share_spread_evenly() -> None:
    weights = SmoothWeights()
    chosen = [weights.choose({A: 50, B: 100, C: 50}) for _ in range(8)]
    assert Counter(chosen) == {A: 2, B: 4, C: 2}
    assert [one for one, two in pairwise(chosen) if one == two != B] == []


def test_a_server_with_weight_0_is_never_chosen_and_starts_level_when_it_comes_back() -> None:
    weights = SmoothWeights()
    assert {weights.choose({A: 0, B: 100}) for _ in range(10)} == {B}
    assert Counter(weights.choose({A: 100, B: 100}) for _ in range(10)) == {A: 5, B: 5}


def test_nobody_is_chosen_when_no_server_is_in_service() -> None:
    assert SmoothWeights().choose({A: 0, B: 0}) is None
    assert SmoothWeights().choose({}) is None


def test_archives_are_the_same_every_time_so_that_their_checksums_stay() -> None:
    first, second = artefacts.build(), artefacts.build()
    assert [a.sha256 for a in first] == [a.sha256 for a in second]
    assert {a.key for a in first} >= {"packages/trade-core-2.0.0.tar.gz", "stacks/python-web-1.0.tar.gz"}


def test_a_lab_that_is_made_again_in_its_folder_keeps_its_ports(tmp_path: Path) -> None:
    first = layout_of(tmp_path, 4)
    assert layout_of(tmp_path, 4) == first
    hosts = first.in_workspace(PROD)
    assert [h.name for h in hosts] == ["hz-a-01", "hz-b-01", "hz-a-02", "hz-b-02"]
    assert {h.cell for h in hosts} == {"hz-a-1", "hz-b-1", "hz-a-2", "hz-b-2"}
    ports = [port for h in first.hosts for port in (h.ssh_port, h.app_port, h.health_port)]
    assert len(set(ports)) == len(ports)


def test_a_lab_of_one_host_or_a_load_without_a_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not 1"):
        layout_of(tmp_path, 1)
    with pytest.raises(ValueError, match="rate above 0"):
        LoadGenerator("http://127.0.0.1:1/", rate=0)

"""An order once more: what stays as it was, and what has changed since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.domain.orders import AppAsked, Grouping, OrderSpec
from engine.domain.states import TrafficMode
from engine.kinds import chosen_hosts
from engine.kinds.asked import unpack
from engine.kinds.chosen_hosts import ChosenHosts
from engine.kinds.clone import CatalogueNow, clone
from engine.kinds.release import Release, release_spec

HOSTS = tuple(f"hz-{number:02}" for number in range(1, 7))
NOW = CatalogueNow({"shop": ("2.0", "1.0"), "ledger": ("3.0",)}, {"shop": HOSTS[:4], "ledger": HOSTS[4:]})


def again(spec: OrderSpec, *, was_on: tuple[str, ...] = HOSTS, now: CatalogueNow = NOW) -> tuple[OrderSpec, list[str]]:
    found = clone(spec, 12, was_on, now, seed=7)
    return found.spec, [str(line) for line in found.changed]


def release_of_two(**options: object) -> OrderSpec:
    ledger = AppAsked("ledger", "3.0")
    return release_spec("shop", "2.0", needs=("ledger",), also=(ledger,), traffic=TrafficMode.PRESET,
                        preset_weights={"hz-01": 10, "hz-06": 60}, beta=True, beta_hosts=("hz-01",),
                        by_hand=(("hz-02", "hz-03"), ("hz-04",)), excluded=("hz-05",), title="again", **options)  # type: ignore[arg-type]  # fmt: skip


def test_the_same_apps_needs_groups_and_weights() -> None:
    spec, changed = again(release_of_two())
    assert changed == []
    assert unpack(spec.what, Release) == unpack(release_of_two().what, Release)
    assert (spec.grouping, spec.title, spec.seed) == (release_of_two().grouping, "again", 7)


def test_hosts_that_are_gone_are_left_out_everywhere_and_named_and_so_are_new_ones() -> None:
    now = CatalogueNow(NOW.packages, {"shop": ("hz-02", "hz-09"), "ledger": ("hz-06",)})
    spec, changed = again(release_of_two(), now=now)
    assert spec.grouping == Grouping(beta=True, beta_hosts=(), by_hand=(("hz-02",),), excluded=())
    assert unpack(spec.what, Release).preset_weights == {"hz-06": 60}
    assert changed == ["hosts that are gone since: hz-01, hz-03, hz-04 +1 more", "hosts that are new since: hz-09"] or (
        "hz-01" in changed[0] and changed[1] == "hosts that are new since: hz-09"
    )


def test_a_version_that_is_gone_stays_and_is_said() -> None:
    spec, changed = again(release_of_two(), now=CatalogueNow({"shop": ("1.0",)}, NOW.hosts_of))
    assert unpack(spec.what, Release).apps[0].version == "2.0"
    assert changed == ["the package of shop 2.0 is gone", "the package of ledger 3.0 is gone"]


def test_what_was_decided_for_its_time_is_not_repeated() -> None:
    spec, _changed = again(release_of_two(override_reason="the night is quiet", reason="errors on hz-01"))
    assert (spec.override_reason, spec.reason) == ("", "#12")


@given(st.sets(st.sampled_from(HOSTS)), st.sets(st.sampled_from(HOSTS)))
def test_a_clone_names_no_host_that_is_not_there(chosen: set[str], there: set[str]) -> None:
    spec = chosen_hosts.spec_of("restart", ["shop"], hosts=tuple(sorted(chosen)))
    found, changed = again(spec, was_on=tuple(sorted(chosen)), now=CatalogueNow({}, {"shop": sorted(there)}))
    assert set(unpack(found.what, ChosenHosts).hosts) == chosen & there
    assert any(line.startswith("hosts that are gone") for line in changed) == bool(chosen - there)
    assert any(line.startswith("hosts that are new") for line in changed) == bool(there - chosen)

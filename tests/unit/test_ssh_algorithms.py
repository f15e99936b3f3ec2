"""What is offered to an SSH server, and what is read from one that has nothing of it."""

from __future__ import annotations

import struct

import pytest
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from hypothesis import given
from hypothesis import strategies as st

from engine.ports import RemoteError
from engine.remote.algorithms import Offer, ServerOffer, lacking, offer_in
from engine.remote.hops import Hop
from engine.remote.settings import SshSettings

HOP = Hop("h1", "10.0.0.1", 22, "admin", "", False)
UNSAFE = {
    "kex": ("sha1", "gss-"),
    "ciphers": ("cbc", "arcfour"),
    "macs": ("md5", "-96"),
}


def test_all_that_is_safe_is_offered_and_nothing_else() -> None:
    offer = Offer.of(SshSettings(), HOP)
    for kind, ours, every in (
        ("kex", offer.key_exchanges, get_kex_algs()),
        ("ciphers", offer.ciphers, get_encryption_algs()),
        ("macs", offer.macs, get_mac_algs()),
    ):
        safe = {name.decode() for name in every if not any(part in name.decode() for part in UNSAFE[kind])}
        assert set(ours) == safe, kind
        assert len(ours) == len(set(ours))


def test_the_fast_ones_come_first_and_the_group_exchange_last() -> None:
    offer = Offer.of(SshSettings(), HOP)
    assert offer.key_exchanges[0] == "curve25519-sha256"
    assert offer.ciphers[0] == "aes128-gcm@openssh.com"
    exchanges = [name for name in offer.key_exchanges if "group-exchange" in name]
    assert offer.key_exchanges[-len(exchanges) :] == tuple(exchanges)


def test_the_settings_decide_and_a_name_nobody_knows_is_told_with_those_that_are_known() -> None:
    offer = Offer.of(SshSettings(kex=("diffie-hellman-group14-sha1",), macs=("hmac-sha2-512",)), HOP)
    assert offer.key_exchanges == ("diffie-hellman-group14-sha1",)
    assert offer.macs == ("hmac-sha2-512",)
    with pytest.raises(RemoteError) as refused:
        Offer.of(SshSettings(ciphers=("aes128-gcm",)), HOP)
    assert refused.value.problem.code == "ssh_algorithm_unknown"
    assert "ssh.ciphers" in str(refused.value.problem.what)
    assert "aes128-gcm@openssh.com" in str(refused.value.problem.remedy)


def kexinit(*lists: str) -> bytes:
    body = b"".join(struct.pack(">I", len(each)) + each.encode() for each in lists)
    return bytes([4, 20]) + bytes(16) + body + bytes(5)


def test_a_servers_lists_are_read_as_they_stand_on_the_wire() -> None:
    packet = kexinit("a,b", "ssh-ed25519", "c1", "c2", "m1", "m2", "none", "none", "", "")
    assert offer_in(packet) == ServerOffer(("a", "b"), ("ssh-ed25519",), ("c1",), ("m1",))


@given(st.binary(max_size=200))
def test_whatever_a_server_sends_is_an_offer_or_none(packet: bytes) -> None:
    try:
        found = offer_in(bytes(2) + packet)
    except ValueError:
        return
    assert found is None or isinstance(found, ServerOffer)


@pytest.mark.parametrize(
    ("theirs", "kind"),
    [
        (ServerOffer(("k",), ("h",), ("c",), ("m",)), None),
        (ServerOffer(("other",), ("h",), ("c",), ("m",)), "kex"),
        (ServerOffer(("k",), ("other",), ("c",), ("m",)), "host_key_algorithms"),
        (ServerOffer(("k",), ("h",), ("other",), ("m",)), "ciphers"),
        (ServerOffer(("k",), ("h",), ("c",), ("other",)), "macs"),
        (ServerOffer(("k",), ("h",), ("x-gcm@openssh.com",), ("other",)), None),  # it needs no MAC
    ],
)
def test_the_kind_that_is_lacking_is_told(theirs: ServerOffer, kind: str | None) -> None:
    found = lacking(Offer(("k",), ("c", "x-gcm@openssh.com"), ("m",), ("h",)), theirs)
    assert (found and found[0]) == kind

"""The deck of failure cards, as data: what is seen in a step's log, what it means, what to do. The first that fits counts.

The words are those of the C library, bash, wget, yum, dnf and apt in English and in simplified Chinese (where they differ also in
traditional Chinese and Japanese), and of curl, Java, Node and the usual servers, which speak English only or both.
"""

from engine.diagnose.deck.disk import DISK
from engine.diagnose.deck.downloads import DOWNLOADING
from engine.diagnose.deck.hosts import HOSTS
from engine.diagnose.deck.network import NETWORK
from engine.diagnose.deck.starting import STARTING

CARDS = (*DISK, *DOWNLOADING, *HOSTS, *STARTING, *NETWORK)

__all__ = ["CARDS"]

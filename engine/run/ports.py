"""What an order is run with. The engine makes one for each workspace and hands it to all that moves an order."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.dispatch.local import LocalDispatch
from engine.ports import Balancers, Clock, Packages, Remote
from engine.run.background import Background
from engine.run.journal import Journal
from engine.run.ledger import Ledger
from engine.run.order_check import Expiring
from engine.run.unforeseen import Unforeseen
from engine.store.store import Store


@dataclass(frozen=True, slots=True)
class Ports:
    """What an order of one workspace reaches the world through."""

    store: Store
    journal: Journal
    ledger: Ledger
    remote: Remote
    packages: Packages
    balancers: Balancers
    clock: Clock
    log_dir: Path
    dispatch: LocalDispatch
    background: Background
    expiring: Expiring = lambda by: ()
    unforeseen: Unforeseen = field(default_factory=lambda: Unforeseen("the engine's log"))

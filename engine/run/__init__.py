"""Running orders: the journal, the weight ledger, one host's run, the reconciler of an order and the engine that owns them."""

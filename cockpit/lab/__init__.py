"""The practice lab: a fleet, its package store and its load balancer on loopback, speaking the real protocols. Never used by
the engine itself; the engine talks to it as it would to the real thing."""

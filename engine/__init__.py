"""The release engine: plans orders, runs them on hosts and balancers, and journals every step. It has no screens."""

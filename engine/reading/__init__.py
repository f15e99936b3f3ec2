"""View-models built from rows, in one snapshot each: what `engine.api` answers with. It never writes and never decides."""

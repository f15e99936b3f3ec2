"""Who carries out the host runs that `advance` hands out."""

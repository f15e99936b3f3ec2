"""The catalogue as files: what a tenant owns and where it is deployed, written by people, read with every problem named."""

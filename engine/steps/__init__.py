"""The steps that run on a host: each module builds one as POSIX sh. Nothing in here runs anything."""

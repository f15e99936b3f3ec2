"""One store: an SQLite file or a PostgreSQL database, opened, migrated and watched. (Interface first; being filled in.)"""

"""Stores on both engines."""

from tests.support.stores import postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

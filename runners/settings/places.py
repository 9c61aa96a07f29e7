"""Where things are, as the settings say it or as they follow from the data directory."""

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr


class Given(Protocol):
    """The settings that say where."""

    @property
    def config(self) -> Path | None: ...

    @property
    def data(self) -> Path: ...

    @property
    def database(self) -> SecretStr | None: ...

    @property
    def users(self) -> Path | None: ...

    @property
    def tokens(self) -> Path | None: ...

    @property
    def master_key_file(self) -> Path | None: ...

    @property
    def database_file(self) -> Path: ...


class Places:
    """What `Settings` tells of places."""

    @property
    def database_file(self: Given) -> Path:
        """Where SQLite's file is, when no `database` is named."""
        return self.data / "commissaire.db"

    @property
    def known_log_file(self: Given) -> Path:
        """What is known of PostgreSQL's log, so that the next process notices if it went back."""
        return self.data / "log.json"

    @property
    def scratch_file(self: Given) -> Path:
        """Where read models are built before they take the place of those that serve."""
        return self.data / "rebuild.db"

    @property
    def database_url(self: Given) -> str | None:
        """The URL of PostgreSQL with its password, for the driver only; None means SQLite."""
        return self.database.get_secret_value() if self.database else None

    @property
    def database_shown(self: Given) -> str:
        """What people may see of where the database is: never its password."""
        if self.database is None:
            return str(self.database_file)
        parts = urlsplit(self.database.get_secret_value())
        # The query can hold a password as well, and so can the user's part.
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def users_file(self: Given) -> Path:
        """Where users may be: the file that is named, or one of an older version."""
        return self.users or self.data / "users.json"

    @property
    def users_are_in_config(self: Given) -> bool:
        """Whether they stand in the settings file itself, as in one of 2017."""
        return self.users is not None and self.users == self.config

    @property
    def tokens_file(self: Given) -> Path:
        """Where API tokens may be; the same."""
        return self.tokens or self.data / "tokens.json"

    @property
    def vault_key_file(self: Given) -> Path:
        """Where the vault's master key is, when no `master_key` is given."""
        return self.master_key_file or self.data / "master.key"

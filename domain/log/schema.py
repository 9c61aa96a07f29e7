"""The tables of the log and of its tree, on both engines, and the triggers that keep them
append-only."""

from domain.log.transaction import EngineName

HEAD = "SELECT position, recorded_at FROM stored_events ORDER BY position DESC LIMIT 1"
NEWEST = """
    SELECT position, recorded_at, coalesce(append_id, 0) FROM stored_events
    ORDER BY position DESC LIMIT 1
"""

TREE_TABLES = ("log_leaves", "log_nodes", "log_frontier")
"""The Merkle tree of the log (`domain/log/tree`)."""


def _tree(number: str, content: str, strict: str) -> tuple[str, ...]:
    nothing = "x''" if content == "BLOB" else "''"
    return (
        f"""
        CREATE TABLE IF NOT EXISTS log_leaves (
            leaf {number} PRIMARY KEY, position {number} NOT NULL, hash {content} NOT NULL
        ) {strict}
        """,
        f"""
        CREATE TABLE IF NOT EXISTS log_nodes (
            level {number} NOT NULL, place {number} NOT NULL, hash {content} NOT NULL,
            PRIMARY KEY (level, place)
        ) {strict}
        """,
        f"""
        CREATE TABLE IF NOT EXISTS log_frontier (
            one {number} PRIMARY KEY CHECK (one = 1), size {number} NOT NULL,
            position {number} NOT NULL, grown {number} NOT NULL, hashes {content} NOT NULL
        ) {strict}
        """,
        f"""
        INSERT INTO log_frontier (one, size, position, grown, hashes)
        VALUES (1, 0, 0, 0, {nothing}) ON CONFLICT DO NOTHING
        """,  # noqa: S608 - a constant of ours
    )


SQLITE = (
    # AUTOINCREMENT: without it the position of a deleted newest row would be given out again.
    """
    CREATE TABLE IF NOT EXISTS stored_events (
        position INTEGER PRIMARY KEY AUTOINCREMENT CHECK (position > 0),
        originator_id TEXT NOT NULL,
        originator_version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        recorded_at TEXT NOT NULL,
        append_id INTEGER,
        UNIQUE (originator_id, originator_version)
    ) STRICT
    """,
    """
    CREATE TRIGGER IF NOT EXISTS stored_events_refuse_update BEFORE UPDATE ON stored_events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only: UPDATE refused'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS stored_events_refuse_delete BEFORE DELETE ON stored_events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only: DELETE refused'); END
    """,
    # REPLACE deletes without firing the trigger above, unless the connection asked for it.
    # (NEW.position is -1 where AUTOINCREMENT chooses it; a position that somebody chose, as a
    # dump does when it is restored, must not slip in behind those who follow the log.)
    """
    CREATE TRIGGER IF NOT EXISTS stored_events_refuse_replace BEFORE INSERT ON stored_events
    WHEN (NEW.position <> -1 AND NEW.position <= (SELECT max(position) FROM stored_events))
        OR EXISTS (SELECT 1 FROM stored_events WHERE originator_id = NEW.originator_id
                   AND originator_version = NEW.originator_version)
    BEGIN SELECT RAISE(ABORT, 'the log is append-only: this event is there already'); END
    """,
    *_tree("INTEGER", "BLOB", "STRICT"),
    *(
        f"""
        CREATE TRIGGER IF NOT EXISTS {table}_refuse_{what.lower()} BEFORE {what} ON {table}
        BEGIN SELECT RAISE(ABORT, 'the log is append-only: {what} refused'); END
        """
        for table in ("log_leaves", "log_nodes")
        for what in ("UPDATE", "DELETE")
    ),
)

POSTGRESQL = (
    """
    CREATE TABLE IF NOT EXISTS stored_events (
        position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        originator_id TEXT COLLATE "C" NOT NULL,
        originator_version BIGINT NOT NULL,
        topic TEXT NOT NULL,
        state BYTEA NOT NULL,
        recorded_at TEXT COLLATE "C" NOT NULL,
        append_id BIGINT,
        UNIQUE (originator_id, originator_version)
    )
    """,
    """
    CREATE OR REPLACE FUNCTION stored_events_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the log is append-only: % refused', TG_OP; END $$
    """,
    """
    CREATE OR REPLACE TRIGGER stored_events_refuse
    BEFORE UPDATE OR DELETE OR TRUNCATE ON stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION stored_events_refuse()
    """,
    *_tree("BIGINT", "BYTEA", ""),
    *(
        f"""
        CREATE OR REPLACE TRIGGER {table}_refuse
        BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION stored_events_refuse()
        """
        for table in ("log_leaves", "log_nodes")
    ),
)

SCHEMA: dict[EngineName, tuple[str, ...]] = {"sqlite": SQLITE, "postgresql": POSTGRESQL}

ADDED: dict[EngineName, tuple[str, str]] = {
    "sqlite": (
        "SELECT count(*) FROM pragma_table_info('stored_events') WHERE name = 'append_id'",
        "ALTER TABLE stored_events ADD COLUMN append_id INTEGER",
    ),
    "postgresql": (
        """
        SELECT count(*) FROM pg_attribute
        WHERE attrelid = to_regclass('stored_events') AND attname = 'append_id'
        """,
        "ALTER TABLE stored_events ADD COLUMN IF NOT EXISTS append_id BIGINT",
    ),
}
"""Whether the table has what older versions made it without, and how to add it."""

EXISTS: dict[EngineName, str] = {
    "sqlite": "SELECT count(*) FROM sqlite_schema WHERE name = 'stored_events'",
    "postgresql": "SELECT count(to_regclass('stored_events'))",
}
"""Whether there is a log at all: 0 or 1."""

LAST_GIVEN: dict[EngineName, str] = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = 'stored_events'",
    "postgresql": "SELECT coalesce(pg_sequence_last_value("
    "pg_get_serial_sequence('stored_events', 'position')::regclass), 0)",
}
"""The position that was given out last; no row where none ever was."""

SKIP: dict[EngineName, tuple[str, ...]] = {
    "sqlite": (
        "DELETE FROM sqlite_sequence WHERE name = 'stored_events' AND seq < ?",
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('stored_events', ?)",
    ),
    "postgresql": ("SELECT setval(pg_get_serial_sequence('stored_events', 'position'), ?)",),
}
"""Give out no position up to this one any more."""

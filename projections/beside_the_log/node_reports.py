"""What container managers said last of their nodes: no event, and so beside the log.

A report is kept when it changes; when it was said last is kept once for each container manager.
"""

from collections.abc import Mapping, Sequence

import orjson

from domain.aggregates.container_manager import TRIVIAL
from domain.log.transaction import EngineName, Transaction
from projections.beside_the_log.heartbeats import EACH
from projections.tables import TEXT


def schema(engine: EngineName) -> list[str]:
    """Statements that create the tables where they are not there."""
    text = TEXT[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS node_reports (
            address {text} PRIMARY KEY,
            container_manager {text} NOT NULL,
            report {text} NOT NULL
        )
        """,
        f"""
        CREATE TABLE IF NOT EXISTS node_reports_at (
            container_manager {text} PRIMARY KEY,
            at {text} NOT NULL
        )
        """,
    ]


KEEP = """
    INSERT INTO node_reports (address, container_manager, report)
    SELECT n.address, n.container_manager, said.value FROM {each}(CAST(? AS {json})) AS said
    JOIN nodes n ON n.address = said.key AND n.container_manager = ?
    WHERE true
    ON CONFLICT (address) DO UPDATE
    SET container_manager = excluded.container_manager, report = excluded.report
"""
KEEP_TIME = """
    INSERT INTO node_reports_at (container_manager, at) VALUES (?, ?)
    ON CONFLICT (container_manager) DO UPDATE SET at = excluded.at
"""
DELETE_GONE = """
    DELETE FROM node_reports WHERE NOT EXISTS (
        SELECT 1 FROM nodes n WHERE n.address = node_reports.address
        AND n.container_manager = node_reports.container_manager
    )
"""
DELETE_SILENT = "DELETE FROM node_reports WHERE address = ? AND container_manager = ?"


def keep(
    tx: Transaction, name: str, at: str, changed: Mapping[str, str], silent: Sequence[str]
) -> None:
    """What a container manager said at a time of its nodes, as far as it is new, as JSON.

    `silent`: addresses of which it says nothing any more.
    """
    tx.execute(KEEP_TIME, (name, at))
    if changed:
        tx.execute(KEEP.format(**EACH[tx.engine]), (orjson.dumps(changed).decode(), name))
    for address in silent:
        tx.execute(DELETE_SILENT, (address, name))
    tx.execute(DELETE_GONE)


def managers(tx: Transaction) -> list[str]:
    """The names of container managers that have nodes to be asked about."""
    sql = f"""
        SELECT DISTINCT n.container_manager FROM nodes n
        JOIN container_managers m ON m.name = n.container_manager AND m.type <> '{TRIVIAL}'
    """  # noqa: S608 - a constant of ours
    return [row[0] for row in tx.execute(sql).fetchall()]


def nodes(tx: Transaction, name: str) -> dict[str, str]:
    """The nodes of a container manager, each with what is kept of it as JSON, or ""."""
    sql = """
        SELECT n.address, r.report FROM nodes n
        LEFT JOIN node_reports r
        ON r.address = n.address AND r.container_manager = n.container_manager
        WHERE n.container_manager = ?
    """
    return {row[0]: row[1] or "" for row in tx.execute(sql, (name,)).fetchall()}

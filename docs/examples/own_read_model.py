"""A read model of your own, beside the service: how often hosts failed, by week.

    python own_read_model.py --data /var/lib/commissaire-service failures.db

It keeps its table, and how far it is, in an SQLite file of its own, in one transaction: after
kill -9 it goes on where it was. It only reads the database of the service, SQLite or PostgreSQL
(`--database`). Look at the table with `sqlite3 failures.db "SELECT * FROM failures"`.
"""

import argparse
from datetime import datetime

from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder

from domain.aggregates.host_events import Failed
from domain.log.application import application_of
from runners.database.existing import existing_database

TABLE = """
    CREATE TABLE IF NOT EXISTS failures (
        week TEXT, host TEXT, times INTEGER, PRIMARY KEY (week, host)
    )
"""
COUNT = """
    INSERT INTO failures VALUES (?, ?, 1)
    ON CONFLICT (week, host) DO UPDATE SET times = times + 1
"""


class Failures(SQLiteTrackingRecorder):
    """The table."""

    def construct_create_table_statements(self):
        return [*super().construct_create_table_statements(), TABLE]

    def count(self, week, host, tracking):
        """A failure, and that it was counted: both or none."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(COUNT, (week, host))


class CountFailures(Projection[Failures]):
    """What is done for each event of the topics."""

    name = "failures"
    topics = (Failed.TOPIC,)

    def process_event(self, event, tracking):
        year, week, _ = datetime.fromisoformat(event.at).isocalendar()
        self.view.count(f"{year}-W{week:02}", event.originator_id.partition("/")[2], tracking)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", help="The data directory of the service.")
    parser.add_argument("--database", help="Its PostgreSQL, where it has one.")
    parser.add_argument("file", help="Where the table is.")
    options = parser.parse_args()
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": options.file}
    with (
        existing_database(None, options.data, options.database) as engine,
        ProjectionRunner(
            application_class=application_of(engine),
            projection_class=CountFailures,
            view_class=Failures,
            env=env,
        ) as runner,
    ):
        runner.run_forever()


if __name__ == "__main__":
    main()

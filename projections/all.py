"""Every read model of the service, and what is kept beside the log."""

from domain.log.transaction import EngineName
from projections import clusters, container_managers, hosts, networks, operations
from projections.accounts import projection as accounts
from projections.beside_the_log import (
    account_hashes,
    heartbeats,
    host_looks,
    idempotency_keys,
    node_reports,
    outputs,
    update_scans,
    webhook_deliveries,
)
from projections.fleet import projection as fleet
from projections.past import checkpoints
from projections.planning import schedules, windows
from projections.rollouts import budgets
from projections.webhooks import projection as webhooks

PROJECTIONS = (
    hosts.PROJECTION,
    clusters.PROJECTION,
    networks.PROJECTION,
    container_managers.PROJECTION,
    operations.PROJECTION,
    fleet.PROJECTION,
    accounts.PROJECTION,
    webhooks.PROJECTION,
    windows.PROJECTION,
    budgets.PROJECTION,
    schedules.PROJECTION,
)


def beside_the_log(engine: EngineName) -> list[str]:
    """Statements that create the tables of what is no event."""
    return [
        heartbeats.heartbeats_schema(engine),
        *outputs.schema(engine),
        *node_reports.schema(engine),
        *idempotency_keys.schema(engine),
        *host_looks.schema(engine),
        *update_scans.schema(engine),
        *checkpoints.schema(engine),
        *account_hashes.schema(engine),
        *webhook_deliveries.schema(engine),
    ]

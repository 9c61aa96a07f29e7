"""What the log and the vault say of webhooks."""

from typing import NamedTuple

from domain.aggregates.webhook import Webhook
from domain.commands import webhook_commands
from domain.commands.webhook_commands import READER, Kept
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from projections.reads import Reads
from projections.webhooks import following, queries
from projections.webhooks.following import Found, Wanted
from projections.webhooks.queries import Known
from runners.security.vault import NoSecret, Vault


class Followed(NamedTuple):
    """A webhook, how far it has come, and what it is sent with."""

    known: Known
    kept: Kept

    @property
    def wanted(self) -> Wanted:
        """Which events are for it."""
        terms = self.known.terms
        return Wanted(tuple(terms["types"]), tuple(terms["subjects"]), terms["summaries"])

    @property
    def form(self) -> str:
        """How events are told."""
        return str(self.known.terms["form"])

    @property
    def ca_path(self) -> str:
        """By which certificates its own is checked; "" for those of the machine."""
        return str(self.known.terms["ca_path"])


class WebhookReader:
    """Reads beside the event loop; each call sees everything that was committed before it."""

    def __init__(self, reads: Reads, vault: Vault) -> None:
        self._reads = reads
        self._vault = vault

    async def names(self) -> list[str]:
        """The names of all webhooks."""
        return await self._reads.fresh(queries.names)

    async def load(self, name: str) -> Followed | None:
        """One webhook; None where there is none of that name."""
        return await self._reads.fresh(self._load, name)

    async def following(self, wanted: Wanted, after: int) -> Found:
        """The next event after a position that is wanted."""
        return await self._reads.fresh(following.following, wanted, after)

    def forget_secret_before(self, unit: Unit, name: str) -> None:
        """Destroy the secret before the one of today, where its day is over."""
        webhook_commands.forget_secret_before(unit, self._vault, name)

    def _load(self, tx: Transaction, name: str) -> Followed | None:
        known = queries.known(tx, name)
        if known is None:
            return None
        try:
            sealed = self._vault.reveal(tx, f"{Webhook.KIND}/{name}", READER)
        except NoSecret:
            return None  # it was removed, and the read model is about to say so
        return Followed(known, webhook_commands.kept(sealed))

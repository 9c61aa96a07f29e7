"""What commands about accounts find and keep in their transaction: `domain.commands`'s register."""

from collections.abc import Sequence

from domain.aggregates.accounts.session import Session
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from projections.beside_the_log import account_hashes

OTHER_ADMIN = """
    SELECT 1 FROM users WHERE role = 'admin' AND has_password = 1 AND name <> ? LIMIT 1
"""
EXPIRED = f"""
    SELECT s.id FROM sessions s
    LEFT JOIN account_hashes h ON h.subject = '{Session.KIND}/' || s.id
    WHERE s.ends <= ? OR coalesce(h.used_at, '') <= ? ORDER BY s.ends, s.id LIMIT ?
"""  # noqa: S608 - a constant of ours


class AccountRegister:
    """The tables of the accounts, and of the hashes beside the log."""

    def keep(self, unit: Unit, subject: str, hashed: bytes) -> None:
        """Keep a hash for a subject; the one before is unreadable for good."""
        at = unit.act.at
        unit.write_beside(lambda tx: account_hashes.keep(tx, subject, hashed, at), scrub=True)

    def destroy(self, unit: Unit, subject: str) -> None:
        """Make the subject's hash unreadable for good."""
        unit.write_beside(lambda tx: account_hashes.destroy(tx, subject), scrub=True)

    def has_other_admin(self, tx: Transaction, name: str) -> bool:
        """Whether somebody else can administer, and log in with a password."""
        return tx.execute(OTHER_ADMIN, (name,)).fetchone() is not None

    def has_users(self, tx: Transaction) -> bool:
        """Whether there is any user."""
        return tx.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None

    def tokens_of(self, tx: Transaction, user: str) -> Sequence[str]:
        """The names of a user's tokens."""
        found = tx.execute("SELECT name FROM tokens WHERE owner = ? ORDER BY name", (user,))
        return [row[0] for row in found.fetchall()]

    def sessions_of(self, tx: Transaction, user: str) -> Sequence[str]:
        """The ids of a user's sessions."""
        found = tx.execute("SELECT id FROM sessions WHERE user_name = ? ORDER BY id", (user,))
        return [row[0] for row in found.fetchall()]

    def expired_sessions(
        self, tx: Transaction, now: str, idle_since: str, limit: int
    ) -> Sequence[str]:
        """The ids of sessions that have expired, or were not used since."""
        return [row[0] for row in tx.execute(EXPIRED, (now, idle_since, limit)).fetchall()]

"""Signs what the log's tree is, with a key of the vault.

The key is made at the first start. Whoever has the database and the master key can sign, so what
counts is what others keep: a checkpoint that somebody has elsewhere cannot be taken back.
"""

import base64
import secrets
from contextlib import suppress
from datetime import datetime, timedelta

from domain.aggregates.log_history import CheckpointSigned, KeyRotated
from domain.event import TIME_FORMAT
from domain.log import recorder
from domain.log.engine import Engine, OperationalError, Place
from domain.log.recorder import now
from domain.log.transaction import Transaction
from domain.log.tree import kept, note
from domain.log.tree.checkpoint import Checkpoint, Signed
from domain.log.tree.kept import BrokenTree, Tree
from domain.log.tree.note import KEY_BYTES, SecretKey
from domain.log.unit import Unit
from domain.refusal import unavailable
from runners.security.vault import Vault, WrongMasterKey

SUBJECT = "log/key"
"""What the vault has it under."""
NAME_BYTES = 8
LOCK_TIMEOUT_S = 10.0
EACH = timedelta(days=1)
"""How often the log says itself what its tree is."""
FIRST_ENTRY = "SELECT recorded_at FROM stored_events ORDER BY position LIMIT 1"


class Notary:
    """Signs for one log, whichever process asks: the key is read from the vault each time."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def open(self, engine: Engine) -> None:
        """Make the key where there is none; where the database takes nothing, another time."""
        with engine.snapshot() as tx:
            if self._vault.own(tx, SUBJECT) is not None:
                return
        with suppress(OperationalError), engine.append(LOCK_TIMEOUT_S) as appending:
            if self._vault.own(appending.tx, SUBJECT) is None:
                name = f"commissaire/{secrets.token_hex(NAME_BYTES)}"
                key = SecretKey(name, secrets.token_bytes(KEY_BYTES))
                self._vault.keep_own(appending.tx, SUBJECT, _kept(key))
                appending.commit()

    def key(self, tx: Transaction) -> SecretKey:
        """What signs now. Refuses where there is none yet, or somebody changed it."""
        try:
            found = self._vault.own(tx, SUBJECT)
        except WrongMasterKey as wrong:
            raise unavailable(f"The key of the log cannot be read: {wrong}.") from None
        if found is None:
            raise unavailable("There is no key of the log yet: start the service again.")
        name, encoded = found.decode().split("\n")
        return SecretKey(name, base64.b64decode(encoded))

    def sign(self, tx: Transaction) -> Signed:
        """What the tree of the whole log is, signed. Refuses while it is being made."""
        tree = _whole_tree(tx)
        if tree.position < recorder.head(tx).position:
            raise unavailable("The tree of the log is being made: try again in a moment.")
        return signed(tree, self.key(tx))

    def sign_up_to(self, tx: Transaction, place: Place) -> str:
        """What the tree was when this entry was the newest; "" where it does not have that."""
        try:
            size = kept.tree(tx).frontier.size
            leaf = kept.leaf_of(tx, place.position, size) if recorder.has(tx, place) else None
            if leaf is None:
                return ""
            root = kept.root_at(tx, leaf + 1)
        except BrokenTree:
            return ""
        key = self.key(tx)
        said = Checkpoint(key.name, leaf + 1, root, f"{now()}Z", place.position)
        return note.signed(said.text, [key])

    def log_checkpoint(self, unit: Unit) -> bool:
        """Have the log say what its tree is, unless it did so within a day, or nothing happened.

        A log says it first when it is a day old. Times are those of the log: a clock that was
        years ahead, and is not any more, keeps it from saying so no longer than that.
        """
        history = unit.log_history()
        last = history.checkpointed_at or (unit.tx.execute(FIRST_ENTRY).fetchone() or ("",))[0]
        tree = _whole_tree(unit.tx)
        at = max(unit.act.at, recorder.head(unit.tx).recorded_at)
        is_due = last and abs(_time(at) - _time(last)) >= EACH
        if not is_due or not tree.grown or tree.frontier.size <= history.checkpointed_size + 1:
            return False
        found = signed(tree, self.key(unit.tx))
        root = base64.b64encode(found.checkpoint.root).decode()
        history.sign_checkpoint(
            CheckpointSigned(found.checkpoint.size, root, found.key, found.note)
        )
        return True

    def rotate(self, unit: Unit) -> str:
        """Sign with a new key from now on; gives its public half.

        A checkpoint that names the new key is signed by both, and is in the log.
        """
        before, tree = self.key(unit.tx), _whole_tree(unit.tx)
        after = SecretKey(before.name, secrets.token_bytes(KEY_BYTES))
        found = signed(tree, before, after)
        unit.log_history().rotate_key(
            KeyRotated(str(before.public), str(after.public), tree.frontier.size, found.note)
        )
        self._vault.replace(unit, SUBJECT, _kept(after))
        return str(after.public)


def signed(tree: Tree, key: SecretKey, next_key: SecretKey | None = None) -> Signed:
    """A checkpoint of a tree, as of now."""
    size, root = tree.frontier.size, tree.frontier.root
    following = str(next_key.public) if next_key else ""
    checkpoint = Checkpoint(key.name, size, root, f"{now()}Z", tree.position, following)
    keys = [key, next_key] if next_key else [key]
    text = note.signed(checkpoint.text, keys)
    return Signed(checkpoint, tree.position, str(key.public), text)


def _whole_tree(tx: Transaction) -> Tree:
    try:
        return kept.tree(tx)
    except BrokenTree as broken:
        raise unavailable(f"The tree of the log cannot be used: {broken}.") from None


def _kept(key: SecretKey) -> bytes:
    return f"{key.name}\n{base64.b64encode(key.seed).decode()}".encode()


def _time(text: str) -> datetime:
    return datetime.strptime(text, TIME_FORMAT)  # noqa: DTZ007 - all of them are UTC

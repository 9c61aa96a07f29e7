"""What the log says of its tree leaves the house: whoever receives it can verify the log later."""

from base64 import b64decode

from domain.log.tree import checkpoint
from runners.proof.notary import Notary
from tests.runners.stage import until
from tests.runners.webhooks.play import Play
from tests.support.stores import Store
from tests.support.webhook_receiver import WebhookReceiver

TOMORROW = "2099-01-01T00:00:00.000000"


async def test_a_daily_checkpoint_is_sent_as_the_note_that_verify_takes(
    play: Play, there: WebhookReceiver, sqlite_store: Store
) -> None:
    notary = Notary(play.vault)
    async with play.opened():
        notary.open(sqlite_store.engine)
        await play.put(there, types=["log.checkpoint_signed", "log.key_rotated"])
        await play.happen("a", "b")
        assert await play.do(notary.log_checkpoint, TOMORROW)
        await until(lambda: len(there.taken) == 1)
    data = there.taken[0].event["data"]
    read = checkpoint.read(data["checkpoint"])
    with sqlite_store.engine.snapshot() as tx:
        assert read.note.is_signed_by(notary.key(tx).public)
    assert (read.checkpoint.size, read.checkpoint.root) == (data["size"], b64decode(data["root"]))
    assert data["size"] == len(sqlite_store.topics()) - 1

"""Old clients are answered to the byte as the contract has it: conversations that are kept."""

from pathlib import Path

import pytest

from tests.old_clients.conversation import RECORD, hold
from tests.web.service import base64_of, new_key, serving

HERE = Path(__file__).parent
CONVERSATIONS = sorted(HERE.glob("*.txt"))


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_an_old_client_is_answered_to_the_byte(
    path: Path, database_url: str, tmp_path: Path
) -> None:
    with serving(tmp_path, database_url) as service:
        expected, actual = hold(path, service, base64_of(new_key()))
    if RECORD:
        path.write_text(actual)
    assert actual == expected


def test_the_conversations_are_there() -> None:
    assert len(CONVERSATIONS) > 15

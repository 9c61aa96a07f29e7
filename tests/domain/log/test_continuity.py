"""Which database server may be written to."""

import pytest

from domain.log.continuity import Continuity, Known
from domain.log.engine import OtherLog, Place
from domain.log.transaction import Server

HEAD = Place(7, "2026-01-02T03:04:05.000006", 1)
OLD, NEW = Server(7713, 1), Server(7713, 2)


def test_a_server_that_was_accepted_is_refused_again_after_another_failover() -> None:
    continuity = Continuity(Known([HEAD], NEW), str(OLD))
    continuity._must_be_right(OLD, is_known=False)
    continuity.advance(HEAD, OLD)
    continuity._must_be_right(OLD, is_known=True)
    continuity._must_be_right(NEW, is_known=True)  # promoted once more
    continuity.advance(HEAD, NEW)
    with pytest.raises(OtherLog, match="before the failover"):
        continuity._must_be_right(OLD, is_known=True)
    assert continuity.refused is not None

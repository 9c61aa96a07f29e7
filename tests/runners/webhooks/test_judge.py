"""Whoever judges deliveries sees each way in which the promise can be broken."""

import pytest

from tests.support.webhook_receiver import Received, must_be_delivered


def came(position: int, number: str = "") -> Received:
    """A message that was taken."""
    body = f'{{"id": "{position}"}}'.encode()
    return Received({"webhook-id": number or f"evt_{position}"}, body, "/", 204)


def test_doubles_with_the_same_id_are_no_fault_whenever_they_come() -> None:
    must_be_delivered([came(1), came(1), came(2), came(4), came(2), came(5)], [1, 2, 4, 5])


@pytest.mark.parametrize(
    ("taken", "fault"),
    [
        ([came(1), came(3)], "not all came"),
        ([came(1), came(2)], "not all came"),
        ([], "not all came"),
        ([came(1), came(3), came(2)], "2 came after 3"),
        ([came(1), came(2), came(1, "evt_other"), came(3)], "another id"),
        ([came(1), came(2, "evt_1"), came(3)], "with one id"),
        ([came(1), came(2), came(3), came(4)], "nobody asked for"),
    ],
)
def test_what_is_lost_out_of_order_or_has_another_id_is_found(
    taken: list[Received], fault: str
) -> None:
    with pytest.raises(AssertionError, match=fault):
        must_be_delivered(taken, [1, 2, 3])

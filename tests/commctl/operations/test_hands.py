"""What the service says to keys of a watch is told, whatever is on the screen."""

import threading
from collections.abc import Callable, Mapping

import pytest

from commctl.api import Api, Server
from commctl.show.output import Output
from commctl.watch.hands import Hands
from commctl.watch.screen import Screen
from tests.commctl.operations.test_screen import progress
from tests.commctl.played import FORBIDDEN, Answer, Played
from tests.support.service import wait_for

LIMIT_S = 60


def test_a_refusal_is_told_while_a_question_is_asked_and_when_leaving(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = threading.Event()

    def once_asked() -> Answer:
        assert asked.wait(LIMIT_S)
        return FORBIDDEN

    answers: Mapping[str, Answer | Callable[[], Answer]] = {
        "PUT operation/it/state": once_asked,
        "GET clusters": (200, []),
    }
    with Played(answers) as played, Api(Server(played.url)) as api:
        shown = progress(1, 0)
        hands = Hands(api, "it", shown, Screen(Output("table", no_color=True), shown))
        assert hands.do("p")
        assert hands.do("c")
        question = hands.message
        asked.set()
        said = ""

        def told() -> bool:
            nonlocal said
            hands.tell()
            said += capsys.readouterr().out
            return "That is not allowed." in said

        wait_for(told, LIMIT_S)
        assert hands.message == question
        assert hands.do("y")
        assert not hands.do("q")
        assert hands.finish(LIMIT_S) == ["That is not allowed."]


def test_what_the_screen_has_told_is_told_again_when_leaving_and_not_after_another_key() -> None:
    answers: Mapping[str, Answer | Callable[[], Answer]] = {"PUT operation/it/state": FORBIDDEN}
    with Played(answers) as played, Api(Server(played.url)) as api:
        shown = progress(1, 0)
        hands = Hands(api, "it", shown, Screen(Output("table", no_color=True), shown))

        def told() -> bool:
            hands.tell()
            return bool(hands.message)

        assert hands.do("p")
        wait_for(told, LIMIT_S)
        assert not hands.do("q")
        assert hands.finish(0) == [hands.message] == ["That is not allowed."]
        assert hands.do("x")
        assert hands.finish(0) == []

"""Whose password is checked next."""

from web.authentication.login_lines import LoginLines, Rank

KNOWN, STRANGER, LEAVING = Rank.KNOWN, Rank.STRANGER, Rank.LEAVING


def lines(*waiting: tuple[str, Rank, str]) -> LoginLines[str]:
    found: LoginLines[str] = LoginLines()
    for item, rank, name in waiting:
        found.add(item, rank, name)
    return found


def order(waiting: LoginLines[str]) -> list[str]:
    return list(iter(waiting.take, None))


def test_a_new_line_comes_first_and_one_that_had_its_turn_last() -> None:
    waiting = lines(*((f"a{n}", STRANGER, "a") for n in range(3)), ("b0", STRANGER, "b"))
    assert waiting.take() == "b0"
    assert waiting.take() == "a2"
    waiting.add("c0", STRANGER, "c")
    waiting.add("c1", STRANGER, "c")
    assert order(waiting) == ["c1", "a1", "c0", "a0"]
    assert len(waiting) == 0


def test_known_ones_and_strangers_take_turns_and_who_may_have_left_comes_last() -> None:
    waiting = lines(
        ("left", LEAVING, "x"),
        *((f"s{n}", STRANGER, f"s{n}") for n in range(3)),
        *((f"k{n}", KNOWN, f"k{n}") for n in range(2)),
    )
    assert order(waiting) == ["k1", "s2", "k0", "s1", "s0", "left"]


def test_who_left_a_line_is_in_none() -> None:
    waiting = lines(("a", KNOWN, "x"), ("b", KNOWN, "x"), ("c", STRANGER, "y"))
    waiting.remove("b")
    waiting.remove("c")
    assert ("b" in waiting, waiting.count(KNOWN), waiting.count(STRANGER)) == (False, 1, 0)
    assert order(waiting) == ["a"]


def test_the_oldest_is_the_first_of_the_line_whose_turn_comes_last() -> None:
    waiting = lines(("a", STRANGER, "x"), ("b", STRANGER, "x"), ("c", STRANGER, "y"))
    assert waiting.oldest(STRANGER) == "a"
    waiting.take()
    assert (waiting.oldest(STRANGER), waiting.rank("a")) == ("a", STRANGER)

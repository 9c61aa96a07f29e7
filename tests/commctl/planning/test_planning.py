"""Windows and schedules as they are typed, and what an operation keeps to."""

import pytest

from commctl.exits import WrongUse
from commctl.rollouts.keeping import kept_to
from tests.commctl.operator import Operator
from tests.support.service import Service

NEVER = ("0 6 31 12 *", "1m", "--zone", "Europe/Berlin")


@pytest.mark.dear_on("postgresql")
def test_a_window_is_defined_listed_changed_and_removed(
    operator: Operator, service: Service
) -> None:
    made = operator.json("window", "set", "nights", *NEVER, "--except", "2027-12-31")
    assert (made["duration_s"], made["except"]) == (60, ["2027-12-31"])
    assert operator.json("window", "set", "nights", "* * * * *", "6h")["open"] is True
    assert [row[:2] for row in operator.rows("window", "list")] == [["nights", "yes"]]
    assert operator.json("window", "show", "nights")["zone"] == "UTC"
    wrong = operator.run("window", "set", "nights", "every night", "6h", status=1)
    assert "starts must be a cron expression" in wrong.stderr
    assert operator.run("window", "set", "nights", "0 22 * * *", "soon", status=2).stderr
    operator.run("window", "rm", "nights", "-y")
    assert operator.run("window", "show", "nights", status=1).stderr


@pytest.mark.dear_on("sqlite")
def test_a_policy_names_a_window_and_a_gate_and_what_is_not_named_stays(
    operator: Operator, service: Service
) -> None:
    operator.run("cluster", "create", "kiosk")
    operator.run("window", "set", "kiosk-nights", *NEVER)
    made = operator.json("policy", "set", "kiosk", "-U", "25%", "--window", "kiosk-nights")
    assert (made["max_unavailable"], made["window"]) == ("25%", "kiosk-nights")
    changed = operator.json("policy", "set", "kiosk", "-U", "2")
    assert (changed["max_unavailable"], changed["window"]) == (2, "kiosk-nights")
    unknown = operator.run("policy", "set", "kiosk", "--gate", "nobody", status=1)
    assert "nobody" in unknown.stderr
    in_use = operator.run("window", "rm", "kiosk-nights", "-y", status=1)
    assert "cluster kiosk" in in_use.stdout
    freed = operator.json("policy", "set", "kiosk", "--window", "none")
    assert (freed["max_unavailable"], freed["window"]) == (2, None)
    assert operator.json("policy", "show", "kiosk") == freed
    assert operator.run("policy", "set", "kiosk", status=2).stderr, "nothing is to be changed"
    assert operator.run("policy", "set", "kiosk", "--gate", "", status=2).stderr


@pytest.mark.dear_on("sqlite")
def test_a_schedule_is_defined_with_all_that_an_operation_takes(
    operator: Operator, service: Service
) -> None:
    operator.run("cluster", "create", "shop")
    operator.run("window", "set", "shop-nights", *NEVER)
    options = ("-P", "25%", "--reboot", "if-needed", "--hosts", "role=db", "--waves", "1,10%")
    more = ("--soak", "10m", "--approve", "--window", "shop-nights", "--zone", "Europe/Berlin")
    made = operator.json(
        "schedule", "set", "shop-sundays", "0 2 * * 0", "upgrade", "shop", *options, *more
    )
    assert made["operation"] == {
        "kind": "upgrade",
        "cluster": "shop",
        "max_parallel": "25%",
        "reboot": "if_needed",
        "hosts": {"label": ["role=db"]},
        "waves": [
            {"hosts": 1, "soak_s": 600.0, "approval": True},
            {"hosts": "10%", "soak_s": 600.0, "approval": True},
        ],
        "window": "shop-nights",
    }
    assert len(made["next"]) == 5
    told = "waves 1 (soaks 600 s, somebody approves), then 10% (soaks 600 s, somebody approves)"
    shown = operator.run("schedule", "show", "shop-sundays").stdout
    assert told in shown
    assert "hosts label=role=db" in shown
    assert "shop-sundays" in operator.run("schedule", "list", "-o", "name").stdout
    script = operator.home / "clean.sh"
    script.write_text("rm -rf /var/tmp/old\n")
    runs = ("schedule", "set", "shop-clean", "0 3 * * 0", "run", "shop", "--script", str(script))
    assert operator.json(*runs)["operation"]["script"] == "rm -rf /var/tmp/old\n"
    assert "script of 20 bytes" in operator.run("schedule", "show", "shop-clean").stdout
    operator.run("schedule", "rm", "shop-clean", "-y")
    wrong = ("schedule", "set", "x", "0 2 * * 0", "upgrade", "shop")
    operator.run(*wrong, "--hosts", "web[1-3]", status=2)
    assert "There is no gate" in operator.run(*wrong, "--gate", "unheard-of", status=1).stderr
    used = operator.run("window", "rm", "shop-nights", "-y", status=1)
    assert "schedule shop-sundays" in used.stdout + used.stderr
    operator.run("schedule", "rm", "shop-sundays", "-y")
    refused = operator.run("upgrade", "shop", "--window", "unheard-of", "--plan", status=1)
    assert "There is no window unheard-of" in refused.stderr


def test_an_empty_word_is_no_way_to_do_without() -> None:
    assert kept_to("nights", None) == {"window": "nights"}
    assert kept_to(None, "pages") == {"gate": "pages"}
    for window, gate in (("", None), (None, "")):
        with pytest.raises(WrongUse):
            kept_to(window, gate)

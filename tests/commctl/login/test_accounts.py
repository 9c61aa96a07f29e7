"""Log-ins, users and tokens by `commctl`."""

import stat

from tests.commctl.operator import Operator
from tests.support.service import Service


def test_a_log_in_makes_a_token_with_an_end_and_ends_with_it(
    operator: Operator, service: Service
) -> None:
    ada = Operator(operator.home / "ada")
    done = ada.run(
        "login", service.url, "-u", "admin", "--password-stdin", "--profile", "here",
        stdin=f"{service.password}\n",
    )  # fmt: skip
    assert f"admin (admin) at {service.url}, profile here" in done.stderr
    token = ada.home / ".config/commctl/here.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert token.read_text().strip() not in done.stdout + done.stderr
    assert ["role", "admin"] in ada.rows("whoami")
    (listed,) = operator.json("token", "list")
    assert listed["expires"]
    ada.run("logout")
    assert operator.json("token", "list") == []
    assert not token.exists()
    assert "log-in" in ada.run("whoami", "-s", service.url, status=6).stderr


def test_a_password_is_asked_for_on_a_terminal_and_not_shown(
    operator: Operator, service: Service
) -> None:
    ada = Operator(operator.home / "ada")
    with ada.terminal("login", service.url) as terminal:
        terminal.see("User of ")
        terminal.press("viewer\n")
        terminal.see("Password of viewer:")
        terminal.press(f"{service.password}\n")
        assert terminal.end() == 0
        assert service.password not in terminal.screen
    assert ada.run("cluster", "list").stdout == ""
    wrong = ada.run(
        "login", service.url, "-u", "admin", "--password-stdin", stdin="wrong\n", status=6
    )
    assert wrong.stderr == "commctl: The user name or the password is wrong.\n"


def test_users_and_tokens(operator: Operator, service: Service) -> None:
    operator.run("cluster", "create", "web")
    add = ("user", "add", "ada", "--role", "viewer", "-c", "web=operator", "--password-stdin")
    operator.run(*add, stdin="a-word\n")
    operator.run(*add, stdin="a-word\n", status=1)
    (ada,) = (user for user in operator.json("user", "list") if user["name"] == "ada")
    assert (ada["role"], ada["clusters"]) == ("viewer", {"web": "operator"})
    operator.run("user", "set", "ada", "--role", "operator")
    assert ["ada", "operator"] in [row[:2] for row in operator.rows("user", "list")]
    operator.run("user", "set", "nobody", "--role", "operator", status=1)
    admin = Operator(operator.home / "admin")
    netrc = admin.home / ".netrc"
    netrc.touch(mode=0o600)
    netrc.write_text(f"machine 127.0.0.1 login admin password {service.password}\n")
    there = ("-s", service.url)
    made = admin.run("token", "add", "ci", "--role", "operator", "--expires", "12h", *there)
    assert made.stdout.startswith("cmsr_")
    assert operator.rows("token", "list")[0][:3] == ["ci", "operator", "admin"]
    assert admin.rows("token", "rm", "ci", "-y", *there)[0][1] == "removed"
    assert operator.rows("user", "rm", "ada", "-y")[0][1] == "removed"

"""A settings file of 2017: what of it counts, what is told, and that its users may log in."""

import json
from pathlib import Path

import pytest

from runners.cli.main import run
from runners.security.users import users_file
from runners.settings.old_config import users_in
from runners.settings.reading import WrongSettings, read_settings
from runners.settings.settings import Settings
from tests.support.service import Service, wait_for

HASH = "$2b$04$" + "a" * 53
SECRET = "made-up-secret"  # noqa: S105 - that is what it is


def written(tmp_path: Path, value: object) -> str:
    path = tmp_path / "commissaire.conf"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def read(tmp_path: Path, value: object) -> tuple[Settings, list[str]]:
    told: list[str] = []
    return read_settings({"config": written(tmp_path, value)}, {}, told.append), told


def test_what_is_a_setting_counts_with_hyphens_or_underscores(tmp_path: Path) -> None:
    said = {"port": 8001, "tls-cert": "/c.pem", "trusted_proxy": ["10.0.0.0/8"], "tokens": None}
    settings, told = read(tmp_path, said)
    assert (settings.port, settings.tls_cert, told) == (8001, Path("/c.pem"), [])
    assert settings.tokens is None
    assert str(settings.trusted_proxy[0]) == "10.0.0.0/8"


def test_what_has_no_counterpart_is_told_a_line_each_and_its_value_is_not(tmp_path: Path) -> None:
    said = {"some-port": SECRET, "elsewhere": {"url": SECRET}, "bad\x1b[2J": SECRET}
    settings, told = read(tmp_path, said)
    assert settings == read_settings({"config": str(tmp_path / "commissaire.conf")}, {})
    assert [line.partition(" in ")[0] for line in told] == [
        "some-port",
        "elsewhere",
        r"bad\x1b[2J",
    ]
    assert told[0].endswith("has no counterpart: is port meant?")
    assert told[1].endswith("has no counterpart")
    assert SECRET not in str(told)


def test_flags_and_variables_win_over_it(tmp_path: Path) -> None:
    file = written(tmp_path, {"port": 1, "host": "file", "users": {"ada": {"hash": HASH}}})
    given = read_settings({"config": file, "port": "4", "users": "/u"}, {"COMMISSAIRE_HOST": "v"})
    assert (given.port, given.host, given.users) == (4, "v", Path("/u"))
    assert not given.users_are_in_config


@pytest.mark.parametrize(
    "inside",
    [
        lambda users: {"users": users},
        lambda users: {"a-plugin": {"name": "x", "users": users}},
        lambda users: {"plugins": [{"name": "x"}, {"options": {"users": users}}]},
    ],
)
def test_users_are_found_wherever_they_stand(tmp_path: Path, inside: object) -> None:
    assert callable(inside)
    settings, told = read(tmp_path, inside({"ada": {"hash": HASH}, "bob": {"hash": HASH}}))
    assert settings.users_are_in_config
    found = users_file(settings).read()
    assert {name: account.role for name, account in found.items()} == {
        "ada": "admin",
        "bob": "admin",
    }
    assert HASH not in str(told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be used"),
        ('{"port": "' + SECRET + '"}', "must be a whole number"),
        ('{"port": 1, "port": 2}', "a name twice"),
        ('{"tls-cert": "/a", "tls_cert": "/b"}', "tls_cert twice"),
        ('{"users": ["ada"]}', "its users are none"),
        ('{"users": {"a": {}}, "b": {"users": {"a": {}}}}', "users in two places"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "cannot be used"),
        ('{"a":\xff\xff', "cannot be used"),
    ],
)
def test_what_makes_no_sense_is_one_line_as_of_any_settings(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(WrongSettings) as wrong:
        read(tmp_path, text)
    assert sentence in str(wrong.value)
    assert len(wrong.value.sentences) == 1


def test_a_user_by_the_name_of_users_is_no_place_of_users() -> None:
    assert users_in({"users": {"users": {"hash": HASH}}}) == {"users": {"hash": HASH}}
    assert users_in({"port": 1}) is None


def test_its_users_log_in_and_are_changed_in_it_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(tmp_path, None, "--config", str(tmp_path / "commissaire.conf"), named=False)
    users = json.loads((service.data / "users.json").read_text())
    del users["operator"]
    said = {"elsewhere": SECRET, "a-plugin": {"users": users}}
    file = written(tmp_path, said)
    with service:
        log = service.read_log()
        assert "commissaire: elsewhere in" in log
        assert SECRET not in log
        with service.client_as("operator") as nobody:
            assert nobody.get("/me").status_code == 403

        options = ["--config", file, "--data", str(service.data)]
        assert run(["user", "list", *options]) == 0
        assert "viewer" in capsys.readouterr().out
        assert run(["user", "remove", "viewer", *options]) == 1
        assert "change it by hand" in capsys.readouterr().err
        assert run(["backup", str(tmp_path / "copy"), *options]) == 0
        assert not (tmp_path / "copy/users.json").exists()

        with service.client_as("viewer") as viewer:
            assert viewer.get("/me").json()["role"] == "viewer"
            del users["viewer"]
            written(tmp_path, said)
            wait_for(lambda: viewer.get("/me").status_code == 403)

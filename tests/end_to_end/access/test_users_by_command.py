"""`commissaire user …` on the database of a service that runs."""

import json
from pathlib import Path

from tests.support.service import Service


def test_another_password_of_a_user_changes_only_the_roles_that_are_said(
    tmp_path: Path, database_url: str
) -> None:
    with Service(tmp_path, database_url, named=False) as service:

        def after(*roles: str) -> tuple[str, dict[str, str]]:
            add = ("user", "add", "ada", "--replace", "--password-stdin", *roles)
            told = service.tool(*add, stdin=b"secret")
            users = json.loads(service.tool("user", "list", "--json"))
            (found,) = (user for user in users if user["name"] == "ada")
            assert told == f"ada may log in as {found['role']}."
            return found["role"], found["clusters"]

        of_web, of_db = {"web": "operator"}, {"db": "operator"}
        assert after("--role", "viewer", "--cluster-role", "web=operator") == ("viewer", of_web)
        assert after() == ("viewer", of_web)
        assert after("--cluster-role", "db=operator") == ("viewer", of_db)
        assert after("--role", "operator") == ("operator", {})

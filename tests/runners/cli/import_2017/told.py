"""What the command says, and that no secret is in it."""

import pytest

from runners.cli.main import run
from tests.runners.cli.import_2017.old_service import PASSWORD, OldService

HOSTS = ("127.9.8.3", "127.9.8.1", "127.9.8.2")
TOKEN = "s3cret-token-of-a-cluster"  # noqa: S105 - made up here
LINK = "https://k8s.example:6443"


class Told:
    """What the command said, with each row of its tables as a list."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.status = run(["import-2017", *arguments])
        self.out, self.error = capsys.readouterr()
        self.rows = [line.split("\t") for line in self.out.splitlines()]

    def of(self, subject: str) -> list[list[str]]:
        return [row[1:] for row in self.rows if row[0] == subject]


def no_secret_in(text: str, old: OldService) -> bool:
    secrets = [PASSWORD, TOKEN, "s3cret-of-the-page", "PRIVATE KEY"]
    for path, found in old.records.items():
        if path.endswith("/creds") and isinstance(found, dict):
            secrets.append(str(found["ssh_priv_key"]))
    return not any(secret in text for secret in secrets)

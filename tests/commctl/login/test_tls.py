"""HTTPS is verified, always; on the machine of the service by the very certificate that it has."""

import json
from pathlib import Path

from tests.commctl.operator import Operator
from tests.support.certificates import Authority
from tests.support.service import Service


def test_whom_to_trust_is_named_and_verification_is_never_off(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "other")
    pair = authority.server("localhost")
    with Service(tmp_path / "service", None, *pair.flags) as service:
        local = Operator(tmp_path / "home", service)
        assert local.run("cluster", "list").stdout == ""
        told = json.loads((service.data / "local.json").read_text())
        token = tmp_path / "token"
        token.touch(mode=0o600)
        token.write_text(told["token"])
        away = Operator(tmp_path / "home", COMMCTL_TOKEN_FILE=str(token))
        url = service.url.replace("127.0.0.1", "localhost")
        ca = ("--ca", str(authority.file))
        assert away.run("cluster", "list", "-s", url, *ca).stdout == ""
        for nobody in ((), ("--ca", str(stranger.file))):
            refused = away.run("cluster", "list", "-s", url, *nobody, status=6)
            assert "certificate" in refused.stderr.lower()
            assert "--ca FILE" in refused.stderr
        # Another certificate of the same CA is not the service of this machine.
        told["certificate"] = str(authority.server("127.0.0.1").certificate)
        (service.data / "local.json").write_text(json.dumps(told))
        assert "certificate" in local.run("cluster", "list", status=6).stderr.lower()

"""An API server, and a client of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_urlsafe

import pytest

from runners.container_managers.kubernetes import Kubernetes
from runners.container_managers.kubernetes_api import Access, KubernetesApi
from tests.runners.container_managers.server import ApiServer
from tests.support.certificates import Authority

TOKEN = token_urlsafe(24)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who certifies the server and its clients."""
    return Authority(tmp_path, "kubernetes-ca")


@pytest.fixture
def server(authority: Authority) -> Iterator[ApiServer]:
    """One with TLS, that wants a token."""
    with ApiServer(authority, token=TOKEN) as running:
        yield running


@pytest.fixture
def access(server: ApiServer, authority: Authority) -> Access:
    """What it takes to be let in."""
    return Access(f"{server.url}/api/", TOKEN, ca_path=str(authority.file))


@pytest.fixture
async def kubernetes(access: Access) -> AsyncIterator[Kubernetes]:
    """A client that is let in."""
    client = Kubernetes(KubernetesApi(access))
    yield client
    await client.aclose()

"""Container managers over HTTP. A token goes in, and never comes out: its mask is shown."""

from domain.aggregates.container_manager import container_manager_request
from domain.commands import fleet_commands
from domain.log.writer import Writer
from domain.refusal import not_found
from projections import container_managers
from projections.hosts import Answer
from projections.reads import Reads
from web.http.replies import Reply, answered, created, deleted, digested
from web.http.requests import Request
from web.schemas import bodies
from web.schemas.path_names import known_name, new_name


class ContainerManagers:
    """The handlers of `/containermanagers` and `/containermanager/{name}`."""

    def __init__(self, writer: Writer, reads: Reads, secrets: fleet_commands.Secrets) -> None:
        self._writer = writer
        self._reads = reads
        self._secrets = secrets

    async def index(self, request: Request) -> Reply:
        """The names of all container managers."""
        return digested(request, await self._reads.point(container_managers.names))

    async def show(self, request: Request) -> Reply:
        """One container manager's record."""
        name = known_name(request, "container manager")
        answer = await self._reads.point(container_managers.container_manager, name)
        return answered(request, _found(answer, name))

    async def create(self, request: Request) -> Reply:
        """Name a container manager; the same, with the token or its mask, is answered the same."""
        name = new_name(request)
        body = await bodies.read(request, bodies.ContainerManagerBody)
        wanted = container_manager_request(body.type, body.options)
        record = await self._writer.perform(
            request.act(),
            lambda unit: fleet_commands.create_container_manager(unit, self._secrets, name, wanted),
            lambda tx, _: _found(container_managers.container_manager(tx, name), name).body,
        )
        return created(record)

    async def remove(self, request: Request) -> Reply:
        """Forget a container manager that no cluster uses, and destroy its token."""
        name = known_name(request, "container manager")
        await self._writer.perform(
            request.act(),
            lambda unit: fleet_commands.remove_container_manager(unit, self._secrets, name),
        )
        return deleted()


def _found(answer: Answer | None, name: str) -> Answer:
    if answer is None:
        raise not_found(f"There is no container manager {name}: create it with PUT first.")
    return answer

"""However many hosts were looked at, and whatever befell them, nothing of it is left."""

from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from projections.reads import THREADS as READERS_MAX
from tests.end_to_end.ssh.host_faults import FAULTS
from tests.end_to_end.ssh.inspected import Held, InspectedService
from tests.end_to_end.ssh.ward import SETTLED_WITHIN_S, Ward
from tests.fleet import Fleet
from tests.support.service import wait_for

ONCE = ("--investigation-attempts", "1", "--retry-pause-s", "80000", "--retry-pause-max-s", "80000")
QUICK = ("--ssh-connect-timeout-s", "1.5", "--ssh-command-timeout-s", "3", "--ssh-parallel", "64")
ROUNDS = [(1, 2), pytest.param((10, 46), marks=pytest.mark.proof)]
"""Before what is measured, and measured; a round is an investigation of each host."""
OBJECTS_MAX = 1000
"""More than before: what is there at any moment varies by some hundreds, as many as one connection
that is kept has."""
RESIDENT_KB_MAX = 12_288
"""More than before: what an allocator keeps varies with which noisy hosts met."""


def rest(service: InspectedService, tasks: int) -> Held:
    """What is held once the last sessions are closed."""

    def quiet() -> Held | None:
        held = service.held()
        return held if held.tasks <= tasks and held.connections == 0 else None

    return wait_for(quiet)


def are_settled(ward: Ward) -> bool:
    """Whether no host is being looked at."""
    return set(ward.statuses().values()) == {"failed", "disassociated"}


@pytest.mark.parametrize("rounds", ROUNDS, ids=lambda rounds: f"{rounds[1] * len(FAULTS)} looks")
def test_nothing_is_left_of_investigations(rounds: tuple[int, int], tmp_path: Path) -> None:
    warm_up, measured = rounds
    with (
        Fleet(tmp_path / "fleet") as fleet,
        InspectedService(tmp_path / "service", None, *ONCE, *QUICK) as service,
        closing(Ward(service, fleet)) as ward,
    ):
        service.client.get("/hosts")
        idle = service.held()
        seen = []
        for _ in range(warm_up + measured):
            ward.register_all()
            wait_for(partial(are_settled, ward), SETTLED_WITHIN_S)
            ward.remove_all()
            seen.append(rest(service, idle.tasks))
        before, after = seen[warm_up - 1], seen[-1]
        print(f"{measured * len(FAULTS)} investigations: {idle=} {before=} {after=}")
        print("objects after each round:", *(held.objects for held in seen))
        print("resident kilobytes after each round:", *(held.rss_kb for held in seen))
        assert after.tasks <= idle.tasks
        # A reader begins when all others are busy, and keeps a connection: the file and its log.
        begun = after.threads - before.threads
        assert 0 <= begun < READERS_MAX
        assert after.descriptors == before.descriptors + 2 * begun
        assert after.objects - before.objects < OBJECTS_MAX
        assert after.rss_kb - before.rss_kb < RESIDENT_KB_MAX

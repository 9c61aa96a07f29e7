"""The standby that takes over has none of the tables, or not those of this version."""

from pathlib import Path
from typing import LiteralString

import pytest

from tests.end_to_end.processes.several import several
from tests.high_availability.pair import Pair
from tests.high_availability.test_dead_machines import kinds, superuser
from tests.high_availability.traffic import must_be_well
from tests.support.postgres import PostgresServer
from tests.support.service import Service, wait_for


@pytest.mark.proof
def test_tables_whose_creation_was_lost_are_missed_in_words_and_a_restart_makes_them_anew(
    pair: Pair, tmp_path: Path
) -> None:
    pair.wait_for_standby()
    pair.second.stop()
    with several(1, tmp_path, [pair.url], "--no-runners", "--command-timeout-s", "3") as (service,):
        assert service.client.put("/cluster/lost").status_code == 201
        pair.fail_over()
        wait_for(lambda: kinds(service) == {"database.refuses"})
        refused = service.client.put("/cluster/web")
        assert refused.status_code == 503
        assert "does not exist" in refused.json()["detail"]
        assert service.client.get("/clusters").status_code == 503
        service.stop()
        service.start()
        assert service.client.put("/cluster/web").status_code == 201
        assert service.client.get("/clusters").json() == ["web"]
        assert "the database lost" not in service.client.get("/cluster/nothing").json()["detail"]
        must_be_well(service)


@pytest.mark.parametrize(
    "before",
    [
        "DELETE FROM projection_positions WHERE name = 'clusters'",
        pytest.param(
            "UPDATE projection_positions SET version = 0 WHERE name = 'clusters'",
            marks=pytest.mark.proof,
        ),
    ],
    ids=["never-made", "older"],
)
def test_a_read_model_that_was_made_anew_and_lost_is_made_anew_again(
    pair: Pair, tmp_path: Path, before: LiteralString
) -> None:
    flags = ("--no-runners", "--command-timeout-s", "3")
    with several(1, tmp_path, [pair.url], *flags) as (service,):
        assert service.client.put("/cluster/kept").status_code == 201
        service.stop()
        with superuser(pair.first, f"/{pair.database}") as admin:
            admin.execute("DELETE FROM clusters")  # as of a version that kept no clusters
            admin.execute(before)
        with pair.standby_misses():
            service.start()
            assert service.client.get("/clusters").json() == ["kept"]
            assert (
                service.client.put("/cluster/kept").status_code == 201
            )  # the same again: no event
        pair.fail_over()
        wait_for(lambda: service.client.put("/cluster/after").status_code == 201)
        wait_for(lambda: service.client.get("/clusters").status_code == 200)
        assert service.client.get("/clusters").json() == ["after", "kept"]
        must_be_well(service)


@pytest.mark.parametrize(
    "how",
    [
        "DROP TABLE clusters",
        pytest.param("ALTER TABLE clusters DROP COLUMN total", marks=pytest.mark.proof),
    ],
)
def test_a_read_model_that_is_not_there_any_more_is_503_until_a_restart_makes_it_anew(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, how: LiteralString
) -> None:
    flags = ("--no-runners", "--command-timeout-s", "2")
    with Service(tmp_path / "service", postgres_url, *flags) as service:
        assert service.client.put("/cluster/web").status_code == 201
        with superuser(postgres_server, postgres_url) as admin:
            admin.execute(how)
        wait_for(lambda: kinds(service) == {"database.refuses"})
        refused = service.client.put("/cluster/other")
        assert refused.status_code == 503
        assert "does not exist" in refused.json()["detail"]
        service.stop()
        service.start()
        wait_for(lambda: service.client.get("/clusters").status_code == 200)
        assert service.client.get("/clusters").json() == ["web"]
        assert service.client.put("/cluster/other").status_code == 201
        must_be_well(service)

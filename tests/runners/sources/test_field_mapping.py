"""Facts in the records of inventories that have their own names and units."""

from typing import Any

import pytest
from pydantic import ValidationError

from runners.sources.field_mapping import SAME_NAMES, Fields
from runners.sources.source import NoAnswer, checked

RECORD: dict[str, Any] = {
    "os": "fedora",
    "cpus": 4,
    "system": {"name": "Red Hat Enterprise Linux", "cpu": {"count": "16"}},
    "memory_mb": 2000.5,
    "disks": [{"size.kb": 500, "a/b": {"~": 7}}, None],
    "": {"": 3},
    "nothing": None,
}


def read(**fields: object) -> dict[str, object]:
    return Fields.model_validate(fields).read(RECORD)


def test_without_a_mapping_the_names_are_ours() -> None:
    assert SAME_NAMES.read(RECORD) == {"os": "fedora", "cpus": 4, "memory": None, "space": None}


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("cpus", 4),
        ("system.cpu.count", 16),
        ("/system/cpu/count", 16),
        ("/disks/0/size.kb", 500),
        ("/disks/0/a~1b/~0", 7),
        ("//", 3),
        ({"path": "memory_mb", "factor": 1024}, 2048512),
        ({"path": "memory_mb", "factor": 0.001}, 2),
        ({"path": "cpus", "factor": 2}, 8),
        # What is not there, or null, is not supplied.
        ("nothing", None),
        ("nowhere", None),
        ("system.cpu.count.more", None),
        ("disks.1.size", None),
        ("disks.2", None),
        ("disks.-1", None),
        ("disks.x", None),
        ("disks.99999999999999999999", None),
    ],
)
def test_a_path_leads_to_a_number(field: object, number: int | None) -> None:
    assert read(cpus=field) == {"cpus": number}


def test_names_are_translated_and_others_stay() -> None:
    names = {"Red Hat Enterprise Linux": "rhel"}
    assert read(os={"path": "system.name", "names": names}) == {"os": "rhel"}
    assert read(os={"path": "os", "names": names}) == {"os": "fedora"}


@pytest.mark.parametrize(
    "value",
    [
        True,
        "",
        "four",
        "0x10",
        [],
        {},
        float("nan"),
        float("inf"),
        "1e999999999",
        10**40,
        "9" * 999,
    ],
)
def test_what_is_no_number_is_a_failure_that_names_the_key(value: object) -> None:
    with pytest.raises(NoAnswer, match="cpus"):
        SAME_NAMES.read({"cpus": value})


@pytest.mark.parametrize("record", [None, 7, "text", [1, 2]])
def test_a_record_that_is_no_table_has_no_facts(record: object) -> None:
    assert set(SAME_NAMES.read(record).values()) == {None}


@pytest.mark.parametrize(
    "fields",
    [
        {"cpus": ""},
        {"cpus": 3},
        {"cpus": {"factor": 2}},
        {"cpus": {"path": "x", "factor": 0}},
        {"cpus": {"path": "x", "factor": -1}},
        {"cpus": {"path": "x", "names": {}}},
        {"os": {"path": "x", "factor": 2}},
        {"status": "status"},
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fields.model_validate(fields)


@pytest.mark.parametrize(
    "said",
    [
        *({"os": "windows"}, {"os": "Fedora"}, {"os": 3}, {"os": "f" * 999}),
        *({"cpus": 0}, {"cpus": -1}, {"cpus": 65_537}, {"cpus": "4"}, {"cpus": 4.0}),
        *({"cpus": True}, {"memory": 0}, {"memory": 10**400}, {"space": [1]}),
    ],
)
def test_facts_that_cannot_be_are_a_failure(said: dict[str, object]) -> None:
    with pytest.raises(NoAnswer, match=next(iter(said))):
        checked("rack", said)


def test_a_status_is_never_taken_from_a_source() -> None:
    facts = checked("rack", {"cpus": 4, "status": "active", "last_check": "now"})
    assert (facts.cpus, facts.os) == (4, None)
    assert checked("rack", None) == checked("rack", {})
    with pytest.raises(NoAnswer):
        checked("rack", [1])  # type: ignore[arg-type] # what a plugin may do

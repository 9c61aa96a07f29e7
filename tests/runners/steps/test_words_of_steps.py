"""What is read from the output of a step: sentences for its record, and what it waits for."""

import pytest

from runners.steps.system_commands import sentences, waits_for


def test_sentences_are_bounded_and_printable() -> None:
    output = b"noise\n" + b"commissaire: bad \x1b[31m word\n" * 100
    said = sentences(output)
    assert said.isprintable()
    assert said.startswith("bad ")
    assert len(said) <= 400


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Waiting for process with pid 77 to finish.\n", "pid 77"),
        (
            (
                "Another app is currently holding the yum lock; waiting for it to exit...\n"
                "  The other application is: PackageKit\n    Memory :  59 M RSS (1.0 GB VSZ)\n"
                "    Started: Mon Nov 30 06:00:00 2026\n    State  : Sleeping, pid: 77\n"
            ),
            "yum lock",
        ),
        ("Waiting for sysroot lock\n", "sysroot"),
        ("commissaire-waits: It waits.\n", "It waits."),
        ("Waiting for process with pid 77 to finish.\n" + "upgrading\n" * 6, ""),
        ("Setting up\n", ""),
        ("", ""),
    ],
)
def test_what_a_step_waits_for_is_read_from_the_end_of_its_output(said: str, told: str) -> None:
    found = waits_for(said.encode())
    assert told in found
    assert bool(found) == bool(told)

"""What the documents say is true: examples run, commands and files exist, settings are known."""

import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.fleet import Fleet
from tests.fleet.fixtures import fleet
from tests.service import Service, wait_for

__all__ = ["fleet"]

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
LIMIT_S = 30


def examples(text: str) -> list[tuple[str, str]]:
    """Command and output of each example with curl in the console blocks."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE):
            command, _, output = example.partition("\n")
            if command.startswith("curl"):
                found.append((command, output.strip()))
    return found


def shape(text: str) -> str:
    """An answer without what differs from machine to machine."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", "TIME", text)
    return re.sub(r'"(cpus|memory|space)":[1-9]\d*', r'"\1":N', text)


def same(answer: Callable[[], str], expected: str) -> bool:
    """Whether it is now what the example says."""
    return shape(answer()) == shape(expected)


def test_the_example_of_the_readme_answers_what_it_says(tmp_path: Path, fleet: Fleet) -> None:
    host = fleet.add("fedora")
    (tmp_path / "id_ed25519").write_bytes(host.private_key)
    shown = examples(README)
    assert len(shown) == 4
    with Service(tmp_path / "service") as service:
        for command, expected in shown:
            here = command.replace("localhost:8000", service.url).replace("10.0.0.7", host.address)

            def answer(here: str = here) -> str:
                ended = subprocess.run(
                    ["/bin/sh", "-c", here.replace("curl ", "curl -sS ", 1)],
                    cwd=tmp_path,
                    env={"PASSWORD": service.password, "PATH": "/usr/bin:/bin"},
                    capture_output=True,
                    text=True,
                    check=True,
                    timeout=LIMIT_S,
                )
                return ended.stdout.replace(host.address, "10.0.0.7")

            if "-X PUT" in command:
                assert shape(answer()) == shape(expected)
            else:
                # "A moment later": the host is looked at meanwhile.
                wait_for(partial(same, answer, expected))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_every_file_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)", text)
    files = re.findall(r"`((?:domain|projections|web|runners|tests|docs|bench)/[\w/.-]+)`", text)
    for name in links:
        assert (document.parent / name).exists(), name
    for name in files:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_a_document_names_is_there(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)`", document.read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target

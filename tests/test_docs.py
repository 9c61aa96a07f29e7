"""What the documents say is true: examples run, commands and files exist, settings are known."""

import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.fleet import Fleet
from tests.fleet.fixtures import fleet
from tests.fleet.host import Host
from tests.service import Service, wait_for
from tests.web.service import serving

__all__ = ["fleet"]

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
HTTP = (ROOT / "docs/http.md").read_text()
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
    text = re.sub(r"SHA256:[A-Za-z0-9+/]{43}", "FINGERPRINT", text)
    text = re.sub(r'"ssh_priv_key":"[^"]+"', '"ssh_priv_key":"KEY"', text)
    return re.sub(r'"(cpus|memory|space)":[1-9]\d*', r'"\1":N', text)


def same(answer: Callable[[], str], expected: str) -> bool:
    """Whether it is now what the example says."""
    return shape(answer()) == shape(expected)


def answer(command: str, directory: Path, service: Service, host: Host) -> str:
    """What an example's command prints, with `service` for localhost:8000 and `host`."""
    here = command.replace("localhost:8000", service.url).replace("10.0.0.7", host.address)
    ended = subprocess.run(
        ["/bin/sh", "-c", here.replace("curl ", "curl -sS ", 1)],
        cwd=directory,
        env={"PASSWORD": service.password, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    return ended.stdout.replace(host.address, "10.0.0.7").strip()


def check(shown: list[tuple[str, str]], directory: Path, fleet: Fleet) -> None:
    """Run examples in their order; fails where one does not print what it says."""
    host = fleet.add("fedora")
    (directory / "id_ed25519").write_bytes(host.private_key)
    with Service(directory / "service") as service:
        for command, expected in shown:
            say = partial(answer, command, directory, service, host)
            if "-X" in command:
                assert shape(say()) == shape(expected)
            else:
                # "A moment later": the host is looked at meanwhile.
                wait_for(partial(same, say, expected))


def test_the_example_of_the_readme_answers_what_it_says(tmp_path: Path, fleet: Fleet) -> None:
    shown = examples(README)
    assert len(shown) == 4
    check(shown, tmp_path, fleet)


def test_every_route_has_a_heading_and_an_example_that_answers_what_it_says(
    tmp_path: Path, fleet: Fleet
) -> None:
    with serving(tmp_path) as service:
        routes = [(route.verb, route.path) for route in service.app.routes.table]
    headings = re.findall(
        r"^### `([A-Z]+) (/\S*)`\n(.*?)(?=^##|\Z)", HTTP, re.DOTALL | re.MULTILINE
    )
    # The page has one, and its files belong to it.
    wanted = [route for route in routes if not route[1].startswith("/docs/")]
    assert sorted((verb, path) for verb, path, _ in headings) == sorted(wanted)
    for verb, path, text in headings:
        (command, _) = examples(text)[0]
        asked = re.search(r"localhost:8000(/[^'? ]*)", command)
        assert asked, command
        assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), asked[1]), command
        assert (f"-X {verb}" in command) == (verb != "GET")
    check(examples(HTTP), tmp_path, fleet)


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

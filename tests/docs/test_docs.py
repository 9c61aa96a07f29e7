"""What the documents say is true: examples run, commands and files exist, settings are known."""

import json
import re
import subprocess
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs import events_document
from tests.fleet import Fleet
from tests.fleet.fixtures import fleet
from tests.fleet.host import Host
from tests.support.service import Service, wait_for
from tests.web.service import serving

__all__ = ["fleet"]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
HTTP = (ROOT / "docs/http.md").read_text()
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
LIMIT_S = 60.0
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def examples(text: str) -> list[tuple[str, str]]:
    """Command and output of each example with curl in the console blocks."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE):
            command, _, output = example.partition("\n")
            if re.match(r"([^|]*\| )*curl ", command):
                found.append((command, output.strip()))
    return found


def shape(text: str) -> str:
    """An answer without what differs from machine to machine."""
    text = re.sub(r'"open":(true|false),"until":(null|"[^"]+")', '"open":NOW,"until":THEN', text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", "TIME", text)
    text = UUID.sub("UUID", text)
    text = re.sub(r'"id":"\d+"', '"id":"POSITION"', text)
    text = re.sub(r"SHA256:[A-Za-z0-9+/]{43}", "FINGERPRINT", text)
    text = re.sub(r'"csrf_token":"[0-9a-f]{48}"', '"csrf_token":"SECRET"', text)
    text = re.sub(r'"secret":"whsec_[^"]+"', '"secret":"SECRET"', text)
    text = re.sub(r'"(position|took_ms)":\d+', r'"\1":N', text)
    text = re.sub(r'"token":"cmsr_[^"]+"', '"token":"SECRET"', text)
    text = re.sub(r'"ssh_priv_key":"[^"]+"', '"ssh_priv_key":"KEY"', text)
    return re.sub(r'"(cpus|memory|space)":[1-9]\d*', r'"\1":N', text)


def asks(command: str, verb: str, path: str) -> bool:
    """Whether an example's command is a request of this route."""
    asked = re.search(r"localhost:8000(/[^'? ]*)", command)
    given = re.search(r"-X ([A-Z]+)", command)
    place = re.sub(r"{\w+}", "[^/]+", path)
    return bool(asked and re.fullmatch(place, asked[1]) and verb == (given[1] if given else "GET"))


class Stage:
    """Where examples run: `service` is their localhost:8000, and `host` their 10.0.0.7."""

    def __init__(self, directory: Path, service: Service, host: Host) -> None:
        self._directory = directory
        self._service = service
        self._host = host
        self._ids: dict[str, str] = {}
        """What operations of the examples are called here."""

    def answer(self, command: str) -> str:
        """What an example's command prints, in the words of the example."""
        here = command.replace("localhost:8000", self._service.url)
        here = here.replace("10.0.0.7", self._host.address)
        here = UUID.sub(lambda found: self._ids[found[0]], here)
        netrc = self._directory / ".netrc"
        netrc.write_text(f"default login admin password {self._service.password}\n")
        ended = subprocess.run(
            ["/bin/sh", "-c", here.replace("curl ", "curl -sS ", 1)],
            cwd=self._directory,
            env={"HOME": str(self._directory), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        )
        return ended.stdout.replace(self._host.address, "10.0.0.7").strip()

    def is_answered(self, command: str, expected: str) -> bool:
        """Whether the answer is now what the example says."""
        said = self.answer(command)
        if shape(said) != shape(expected):
            return False
        self._ids |= zip(UUID.findall(expected), UUID.findall(said), strict=True)
        return True


def check(shown: list[tuple[str, str]], directory: Path, fleet: Fleet) -> None:
    """Run examples in their order; fails where one does not print what it says."""
    host = fleet.add("fedora")
    (directory / "id_ed25519").write_bytes(host.private_key)
    (directory / "token").write_text("A-TOKEN\n")
    with Service(
        directory / "service", None, "--fleet-lock-from", "127.0.0.0/8", named=False
    ) as service:
        write_passwords(directory, service.password)
        stage = Stage(directory, service, host)
        for command, expected in shown:
            if "-X" in command:
                assert stage.is_answered(command, expected), command
            else:
                # "A moment later": the host is looked at meanwhile.
                wait_for(partial(stage.is_answered, command, expected))


def write_passwords(directory: Path, ours: str) -> None:
    """The files of the examples that have passwords in them."""
    for name, body in (
        ("ada.json", {"role": "viewer", "clusters": {"web": "operator"}, "password": ours}),
        ("passwords.json", {"old": ours, "new": ours}),
        ("login.json", {"user": "admin", "password": ours}),
    ):
        (directory / name).write_text(json.dumps(body))


def test_the_example_of_the_readme_answers_what_it_says(tmp_path: Path, fleet: Fleet) -> None:
    shown = examples(README)
    assert len(shown) == 2
    check(shown, tmp_path, fleet)


def test_every_route_has_a_heading_and_an_example_that_answers_what_it_says(
    tmp_path: Path, fleet: Fleet
) -> None:
    with serving(tmp_path) as service:
        routes = [(route.verb, route.path) for route in service.table]
    headings = re.findall(
        r"^### `([A-Z]+) (/\S*)`\n(.*?)(?=^##|\Z)", HTTP, re.DOTALL | re.MULTILINE
    )
    # The page has one, and its files belong to it.
    wanted = [route for route in routes if not route[1].startswith("/docs/")]
    assert sorted((verb, path) for verb, path, _ in headings) == sorted(wanted)
    for verb, path, text in headings:
        assert any(asks(command, verb, path) for command, _ in examples(text)), f"{verb} {path}"
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
def test_every_heading_stands_apart_and_no_line_is_there_twice_in_a_row(document: Path) -> None:
    lines = document.read_text().split("\n")
    for before, line in pairwise(lines):
        assert not (before and line.startswith("## ")), line
        assert not (before == line and line.strip("`| -")), line


def test_each_decision_stands_in_the_file_of_its_room_below_its_subject_and_its_date() -> None:
    index = ROOT / "docs/decisions.md"
    assert "\n## " not in index.read_text(), "add it to a file in docs/decisions"
    rooms = sorted((ROOT / "docs/decisions").glob("*.md"))
    linked = re.findall(r"\]\(decisions/([^)]+)", index.read_text())
    assert sorted(linked) == [room.name for room in rooms]
    for room in rooms:
        for decision in re.split(r"^## ", room.read_text(), flags=re.MULTILINE)[1:]:
            assert re.match(r"[^\n]+: .+\n\n\*\d{4}-\d\d-\d\d\*\n", decision), decision


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_a_document_names_is_there(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)`", document.read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


SECRET_IN_AN_ARGUMENT = re.compile(
    r"""
    curl .* (-u|--user) [ =]? \S* :           # -u NAME:PASSWORD
    | -(?:pw|password|-password|-token)[ =] \S
    | (-d|--data\S*|--json) [ =]? (?!@) .* (\$\(|`) .* (base64|cat) .* (key|id_|pem|token)
    | (-d|--data\S*|--json) [ =]? (?!@) .* "(?:ssh_priv_key|token|password|secret)"
    | (-H|--header) [ =]? ["'] Authorization: (?!\s*$)
    | \w+://\w+:[^/@\s…]+@                  # URL with a password
    """,
    re.VERBOSE,
)


@pytest.mark.parametrize(
    "line",
    [
        "curl -u admin:$PASSWORD localhost",
        "curl --user=admin:secret localhost",
        """curl -X PUT x -d '{"ssh_priv_key": "'$(base64 -w0 id_ed25519)'"}'""",
        """curl --json '{"token": "A-TOKEN"}' x""",
        'curl -H "Authorization: Bearer $TOKEN" x',
        "commissaire serve --database postgresql://me:secret@db/commissaire",
    ],
)
def test_a_secret_in_an_argument_is_found(line: str) -> None:
    assert SECRET_IN_AN_ARGUMENT.search(line)


TEXTS = {file for file in (ROOT / "docs").rglob("*.*") if file.suffix != ".png"}
SHOWN = sorted({*DOCUMENTS, *TEXTS, ROOT / "tests/fleet/demo.py"})


@pytest.mark.parametrize("document", SHOWN, ids=lambda path: path.name)
def test_no_document_has_a_secret_in_an_argument(document: Path) -> None:
    for line in document.read_text().split("\n"):
        assert not SECRET_IN_AN_ARGUMENT.search(line), line


def test_the_page_of_events_says_what_the_code_says() -> None:
    said = events_document.DOCUMENT.read_text()
    assert said == events_document.document(), "python -m tests.docs.events_document"

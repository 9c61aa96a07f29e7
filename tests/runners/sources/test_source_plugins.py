"""Sources in the settings: types that are built in, types that packages add, and what is wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from runners.settings.reading import WrongSettings, read_settings
from runners.sources.plugins import WrongSource, open_sources
from tests.support.service import Service, wait_for
from tests.web.service import base64_of, new_key

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "sources.md").read_text()
LIMIT_S = 60
HTTP = {"type": "http", "url": "http://127.0.0.1:9/{address}"}


def block(language: str, marker: str) -> str:
    """The one example of the document that has this text in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    (found,) = [text for text in blocks if marker in text]
    return str(found)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the documented plugin installed in it, as pip leaves a package."""
    folder = tmp_path / "site"
    information = folder / "rack_source-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "rack_source.py").write_text(block("python", "class Rack"))
    metadata = "Metadata-Version: 2.1\nName: rack-source\nVersion: 1.0\n"
    (information / "METADATA").write_text(metadata)
    group, _, points = block("toml", "project.entry-points").partition("\n")
    named = re.fullmatch(r'\[project\.entry-points\."(.+)"\]', group)
    assert named
    (information / "entry_points.txt").write_text(
        f"[{named[1]}]\n{points.replace(chr(34), '')}"
        "broken = rack_source:nothing\nmissing = no_such_module:x\n"
        "http = rack_source:nothing\nsync = rack_source_sync:make\n"
        "defect = rack_source_sync:broken\n"
    )
    for letter in "ab":
        other = folder / f"other_{letter}-1.0.dist-info"
        other.mkdir()
        (other / "METADATA").write_text(metadata.replace("rack-source", f"other-{letter}"))
        (other / "entry_points.txt").write_text(f"[{named[1]}]\ntwice = other:{letter}\n")
    (folder / "rack_source_sync.py").write_text(
        "class Sync:\n    def facts(self, address):\n        return {}\n\n"
        "def make(options, environ):\n    return Sync()\n\n"
        "def broken(options, environ):\n    raise KeyError('s3cret')\n"
    )
    return folder


@pytest.fixture
def importable(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin, in this process."""
    monkeypatch.syspath_prepend(site)


def refused(name: str, table: dict[str, object]) -> str:
    with pytest.raises(WrongSource) as wrong:
        open_sources({name: table}, {"EMPTY": ""})
    assert "\n" not in str(wrong.value)
    return str(wrong.value)


@pytest.mark.usefixtures("importable")
async def test_the_documented_plugin_answers() -> None:
    (rack,) = open_sources({"rack7": RACK7}, {})
    assert await rack.source.facts("10.0.7.40") == {"cpus": 64}
    assert await rack.source.facts("10.0.7.41") is None
    assert rack.terms.cache_s == 60


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({}, "sources.x.type: Field required"),
        ({"type": 3}, "sources.x.type: must be a valid string"),
        (
            {"type": "ftp"},
            "sources.x.type: there is no type 'ftp'; there are broken, defect, file, ht",
        ),
        ({"type": "broken"}, "sources.x.type: rack_source:nothing cannot be loaded: Attribute"),
        ({"type": "missing"}, "sources.x.type: no_such_module:x cannot be loaded: ModuleNotFound"),
        ({"type": "twice"}, "sources.x.type: other:a and other:b are both called 'twice'"),
        ({"type": "defect"}, "sources.x: its type has a defect: KeyError"),
        ({"type": "sync"}, "sources.x: the type sync has no `async def facts`"),
        ({"type": "rack", "cpus": 4}, "sources.x: a rack needs network (text), machines"),
        ({"type": "file"}, "sources.x.path: Field required"),
        ({"type": "file", "path": "hosts"}, "sources.x: format: must be json, yaml or toml"),
        ({"type": "file", "path": "a.json", "pth": 1}, "sources.x.pth: Extra inputs"),
        ({"type": "file", "path": "a.json", "fields": {}}, "sources.x.fields: must say where"),
        (HTTP | {"url": "http://x/"}, "sources.x.url: must have {address} in it once"),
        (HTTP | {"headers": {"X": "s3cret"}}, "sources.x.headers.X: must be"),
        (HTTP | {"headers": {"X": {"variable": "UNSET"}}}, "sources.x: headers.X: UNSET is not"),
        (HTTP | {"headers": {"X": {"variable": "EMPTY"}}}, "sources.x: headers.X: its value is"),
        (HTTP | {"fields": {"cpus": 3}}, "sources.x.fields.cpus"),
        (HTTP | {"timeout_s": 0}, "sources.x.timeout_s: must be greater than 0"),
        (HTTP | {"cache_s": "soon"}, "sources.x.cache_s: must be a number"),
        (HTTP | {"parallel": 0}, "sources.x.parallel: must be greater than or equal to 1"),
        (HTTP | {"stale_after_s": -1}, "sources.x.stale_after_s: must be greater than 0"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_key(table: dict[str, object], line: str) -> None:
    sentence = refused("x", table)
    assert sentence.startswith(line)
    assert "s3cret" not in sentence


@pytest.mark.parametrize("name", ["", "rack 7", "a/b", "ü", "x" * 65])
def test_the_name_of_a_source_is_one(name: str) -> None:
    assert "is no name of a source" in refused(name, dict(HTTP))


def write(folder: Path, text: str) -> str:
    path = folder / "commissaire.toml"
    path.write_text(text)
    return str(path)


RACK7: dict[str, object] = {"type": "rack", "network": "10.0.7.", "machines": 40, "cpus": 64}


def test_the_examples_of_the_document_are_settings_that_can_be_read(tmp_path: Path) -> None:
    text = "".join(
        block("toml", marker) for marker in ("[sources.cmdb]", "[sources.racks]", "[sources.rack7]")
    )
    tables = read_settings({"config": write(tmp_path, text)}, {}).sources
    assert tables["rack7"] == RACK7
    token = tmp_path / "token"
    token.write_text("t0ken")
    headers = {"Authorization": {"file": str(token)}, "X-Tenant": {"variable": "CMDB_TENANT"}}
    tables["cmdb"]["headers"] = headers
    del tables["rack7"]
    opened = open_sources(tables, {"CMDB_TENANT": "blue"})
    assert [(one.name, one.terms.cache_s) for one in opened] == [("cmdb", 300), ("racks", 5)]


@pytest.mark.parametrize("text", ["sources = 3", "[sources]\nx = 's3cret'"])
def test_sources_that_are_no_tables_are_refused_without_being_quoted(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(WrongSettings, match="sources") as wrong:
        read_settings({"config": write(tmp_path, text)}, {})
    assert "s3cret" not in str(wrong.value)


# Over the service


def test_a_wrong_source_ends_serve_with_status_2_and_one_line(tmp_path: Path) -> None:
    config = write(tmp_path, "[sources.x]\ntype = 'cloudforms'\n")
    ended = subprocess.run(
        [sys.executable, "-m", "runners.cli", "serve", "--config", config],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COMMISSAIRE_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "commissaire: sources.x.type: there is no type 'cloudforms'; there are file, http\n"
    )


def test_hosts_get_facts_from_a_file_and_from_an_installed_plugin(
    tmp_path: Path, site: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)  # which the service inherits
    racks = tmp_path / "racks.yaml"
    racks.write_text("127.77.0.1: {cpus: 4, memory_gb: 2}\n")
    file = block("toml", "[sources.racks]").replace("/etc/commissaire/racks.yaml", str(racks))
    here = block("toml", "[sources.rack7]").replace("10.0.7.", "127.77.7.")  # nobody's machine
    text = file.replace("cache_s = 5", "cache_s = 0.1") + here
    flags = ("--config", write(tmp_path, text), "--ssh-connect-timeout-s", "1")
    with Service(tmp_path / "service", database_url, *flags) as service:

        def facts(address: str) -> tuple[int, int]:
            record = service.client.get(f"/host/{address}").json()
            return record["cpus"], record["memory"]

        def register(address: str, source: str) -> int:
            body = {"ssh_priv_key": base64_of(new_key()), "source": source}
            return service.client.put(f"/host/{address}", json=body).status_code

        assert register("127.77.0.1", "racks") == 201
        assert register("127.77.7.3", "rack7") == 201
        assert register("127.77.0.2", "cloudforms") == 400
        wait_for(lambda: facts("127.77.0.1") == (4, 2 * 1048576))
        wait_for(lambda: facts("127.77.7.3") == (64, 0))
        racks.write_text("127.77.0.1: {cpus: 8}\n")
        wait_for(lambda: facts("127.77.0.1") == (8, 0))
        assert service.client.get("/host/127.77.0.1").json()["source"] == "racks"
        assert all("source" not in record for record in service.client.get("/hosts").json())
        assert service.stop() == 0

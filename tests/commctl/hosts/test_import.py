"""Lists of hosts are brought in, whatever form they have, and given back to Ansible."""

import time
from pathlib import Path

import pytest
import yaml

from commctl.exits import WrongUse
from commctl.inventories.ansible import read_ansible
from commctl.inventories.csv_rows import read_csv
from commctl.inventories.entry import Entry
from commctl.inventories.importing import read_entries
from commctl.inventories.lines import read_lines
from tests.commctl.operator import Operator
from tests.fleet.keys import new_key
from tests.support.service import Service

INI = """\
# the old machines
bastion.example ansible_user=ops
[web]
web[01:03].example ansible_port=2222
[db]
db-a ansible_host=127.9.9.1 ansible_ssh_private_key_file=/keys/db
[site:children]
web
db
[site:vars]
ansible_user=deploy
[db:vars]
ansible_user='dba'
"""
YAML = """\
all:
  vars: {ansible_user: deploy}
  hosts:
    bastion.example: {ansible_user: ops}
  children:
    web:
      hosts:
        web[01:02].example:
      vars: {ansible_port: 2222}
    site:
      children:
        db:
          hosts:
            db-a: {ansible_host: 127.9.9.1, commissaire_labels: {rack: 7}}
"""


def test_an_ini_inventory_with_ranges_groups_of_groups_and_variables() -> None:
    assert list(read_ansible(INI)) == [
        Entry("bastion.example", "ops"),
        *(Entry(f"web0{n}.example", "deploy", 2222, groups=("web",)) for n in (1, 2, 3)),
        Entry("127.9.9.1", "dba", key=Path("/keys/db"), labels={"name": "db-a"}, groups=("db",)),
    ]


def test_a_yaml_inventory() -> None:
    labels = {"rack": "7", "name": "db-a"}
    assert list(read_ansible(YAML)) == [
        Entry("bastion.example", "ops"),
        *(Entry(f"web0{n}.example", "deploy", 2222, groups=("web",)) for n in (1, 2)),
        Entry("127.9.9.1", "deploy", labels=labels, groups=("db",)),
    ]


def test_csv_with_names_of_columns_in_any_order_and_any_delimiter() -> None:
    text = "cluster;Hostname;label:role;port\nweb;127.0.0.9;db;22\n;10.0.0.1;;x\n"
    good, bad = read_csv(text)
    assert good == Entry("127.0.0.9", None, 22, "web", labels={"role": "db"})
    assert "no port" in bad.broken
    with pytest.raises(WrongUse):
        list(read_csv("10.0.0.1,22\n"))


def test_lines() -> None:
    text = "10.0.0.1  # old\n\nops@db.example:2222 role=db rack=7\n[fd00::1]:22\nfd00::2\na b\n"
    one, two, three, four, bad = read_lines(text)
    assert (one.address, three.address, three.port, four.address) == (
        "10.0.0.1", "fd00::1", 22, "fd00::2",
    )  # fmt: skip
    assert two == Entry("db.example", "ops", 2222, labels={"role": "db", "rack": "7"})
    assert bad.broken


@pytest.mark.parametrize(
    ("text", "number"),
    [(INI, 5), (YAML, 4), ("address,port\n127.0.0.9,22\n", 1), ("127.0.0.9\n127.0.0.8\n", 2)],
)
def test_the_form_is_what_it_looks_like(text: str, number: int) -> None:
    assert len(read_entries(text, None, "-")) == number


def test_what_cannot_be_understood_is_told_of_its_row() -> None:
    (entry,) = read_ansible("[web]\na ansible_host={{ address }}\n")
    assert "template" in entry.broken
    with pytest.raises(WrongUse):
        list(read_ansible("[web]\nweb[1:999999]\n"))


def test_a_list_is_brought_in_goes_on_after_a_refusal_and_can_be_run_again(
    operator: Operator, service: Service
) -> None:
    key = operator.key_file(new_key().private)
    rows = (
        "address,port,cluster,label:role\n127.9.0.1,9,web,db\nnot an address,9,,\n127.9.0.2,9,,\n"
    )
    (operator.home / "hosts.csv").write_text(rows)
    arguments = ("host", "import", "hosts.csv", "-k", key)
    told = operator.rows(*arguments, "--dry-run", status=1)
    assert [row[1] for row in told] == ["would be added", "refused", "would be added"]
    assert operator.run("host", "list").stdout == ""
    told = operator.rows(*arguments, status=1)
    assert [row[:2] for row in told] == [
        ["127.9.0.1", "added"], ["not an address", "refused"], ["127.9.0.2", "added"],
    ]  # fmt: skip
    assert [row[1] for row in operator.rows(*arguments, status=1)] == ["same", "refused", "same"]
    (member,) = operator.json("host", "list", "-c", "web")
    assert (member["address"], member["labels"]) == ("127.9.0.1", {"role": "db"})
    other = operator.home / "other"
    other.touch(mode=0o600)
    other.write_bytes(new_key().private)
    refused = operator.rows("host", "import", "hosts.csv", "-k", str(other), status=1)
    assert [row[1] for row in refused] == ["refused"] * 3


def test_a_cluster_that_is_refused_is_told_of_its_hosts_and_the_others_go_on(
    operator: Operator,
) -> None:
    key = operator.key_file(new_key().private)
    text = "address,cluster\n10.9.0.1,good\n10.9.0.2,bad/name\n10.9.0.3,good\n"
    done = operator.run("host", "import", "-", "-k", key, stdin=text, status=1)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[1] for row in rows] == ["added", "refused", "added"]
    assert "no cluster name" in rows[1][2] or "is no name" in rows[1][2]


def test_a_dry_run_refuses_what_is_no_address(operator: Operator) -> None:
    key = operator.key_file(new_key().private)
    text = "all:\nfe80::1\n10.9.0.1\n"
    told = ("host", "import", "-", "--format", "lines", "--dry-run", "-k", key)
    done = operator.run(*told, stdin=text, status=1)
    outcomes = [line.split("\t")[1] for line in done.stdout.splitlines()]
    assert outcomes == ["refused", "would be added", "would be added"]


def test_groups_become_clusters_or_labels_and_go_back_to_ansible(operator: Operator) -> None:
    key = operator.key_file(new_key().private)
    (operator.home / "inventory").write_text("[web]\n127.9.1.[1:2]\n[db]\n127.9.1.3\n")
    arguments = ("host", "import", "inventory", "-k", key, "-p", "9")
    operator.run(*arguments, "--groups", "clusters")
    told = yaml.safe_load(operator.run("host", "list", "-o", "ansible").stdout)
    groups = told["all"]["children"]
    assert {name: sorted(group["hosts"]) for name, group in groups.items()} == {
        "web": ["127.9.1.1", "127.9.1.2"], "db": ["127.9.1.3"],
    }  # fmt: skip
    assert {row[1] for row in operator.rows(*arguments, "--groups", "labels")} == {"labelled"}
    back = operator.run("host", "list", "-o", "ansible").stdout
    assert {entry.labels["group.web"] for entry in read_ansible(back) if "web" in entry.groups} == {
        "yes"
    }


def test_a_thousand_hosts_in_seconds_and_all_of_them_listed(
    operator: Operator, service: Service
) -> None:
    key = operator.key_file(new_key().private)
    lines = "".join(f"127.8.{n // 250}.{n % 250 + 1}\n" for n in range(1000))
    begun = time.monotonic()
    done = operator.run("host", "import", "-", "-k", key, "-p", "9", stdin=lines)
    assert len(done.stdout.splitlines()) == 1000
    assert all("\tadded\t" in line for line in done.stdout.splitlines())
    assert time.monotonic() - begun < 60, "seconds, also where the machine is busy"
    names = operator.run("host", "list", "127.8.*", "-o", "name").stdout.splitlines()
    assert len(set(names)) == 1000
    assert len(operator.rows("host", "list", "127.8.0.[1-20]")) == 20
    assert len(operator.rows("host", "list", "-n", "7")) == 7


def test_two_columns_that_mean_the_same_are_refused_with_both_named() -> None:
    with pytest.raises(WrongUse, match="mean the address: host, ip"):
        list(read_csv("host,ip\nweb1,10.0.0.1\n"))
    with pytest.raises(WrongUse, match="label:rack, label:rack"):
        list(read_csv("address,label:rack,label:rack\n10.0.0.1,1,2\n"))


def test_the_same_line_twice_is_told_in_a_dry_run_and_for_real(operator: Operator) -> None:
    key = operator.key_file(new_key().private)
    text = "10.9.0.1\nFD00::0:1\n10.9.0.1\nfd00::1\nops@10.9.0.1\n"
    arguments = ("host", "import", "-", "--format", "lines", "-k", key, "-p", "9")
    for dry, added in (("--dry-run", "would be added"), ("-q", "added")):
        done = operator.run(*arguments, dry, stdin=text, status=1)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        told = [added, added, "same line twice", "same line twice", "refused"]
        assert [row[1] for row in rows] == told
        assert "twice, with other values" in rows[4][2]
    assert len(operator.rows("host", "list")) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.0.0.1\nall: {hosts: [a\n", "hosts.yml is no YAML: line "),
        ("all:\n  hosts:\n\tweb1:\n", "hosts.yml is no YAML: line 3: "),
        ("all:\n  hosts:\n    a\x00b:\n", "hosts.yml is no YAML: line 3: "),
        ("10.0.0.1\n10.0.0.2\n", "hosts.yml has no groups"),
        ("web:\n  hosts: [10.0.0.1]\n", "hosts of group web"),
        ("web:\n  hosts: {a: b}\n", "Host a of the inventory is no mapping"),
    ],
)
def test_a_broken_file_of_yaml_is_told_with_its_line_and_never_taken_as_lines(
    text: str, told: str
) -> None:
    with pytest.raises(WrongUse, match=told):
        read_entries(text, None, "hosts.yml")


def test_yaml_is_known_by_its_suffix_however_it_begins() -> None:
    (entry,) = read_entries("{web: {hosts: {10.0.0.1: }}}\n", None, "hosts.yaml")
    assert entry == Entry("10.0.0.1", groups=("web",))
    (entry,) = read_entries("all: {hosts: {10.0.0.1: {}}}\n", None, "-")
    assert entry == Entry("10.0.0.1")

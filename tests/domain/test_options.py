"""Options of networks and container managers: what is understood, and what is refused."""

from collections.abc import Mapping
from secrets import token_urlsafe

import pytest

from domain.aggregates.container_manager import MASK, container_manager_request
from domain.aggregates.network import network_request
from domain.options import TOKEN_CHARACTERS_MAX, api_root
from domain.refusal import Refusal

URL = "https://master.example.com:8443"
TOKEN = token_urlsafe(12)
FILES = {"certificate_path": "/etc/c.pem", "certificate_key_path": "/etc/k.pem"}
TOO_LONG = "x" * (TOKEN_CHARACTERS_MAX + 1)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1:8080", "node.example.com:1", "[2001:db8::7]:65535", "[::ffff:10.0.0.1]:80"],
)
def test_flannel_server_takes_host_and_port(address: str) -> None:
    wanted = network_request("flannel_server", {"address": address})
    assert wanted.options == {"address": address}


@pytest.mark.parametrize(
    "address",
    [
        "", "10.0.0.1", ":80", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:080",
        "10.0.0.1:-1", "10.0.0.1:+1", "10.0.0.1:8 0", "10.0.0.1:http", "10.0.0.1:٨٠", "10.1:80",
        "a_b:80", "2001:db8::7:80", "[2001:db8::7]", "[2001:db8::7]80", "[10.0.0.1]:80", "[]:80",
        "[fe80::1%eth0]:80", "http://10.0.0.1:80", "10.0.0.1:80/", "10.0.0.1:80\n", "a:1:2",
        "224.0.0.1:80", "user@host:80", 80, True, ["10.0.0.1:80"], {}, "9" * 100_000 + ":80",
        "[" + ":" * 1_000_000,
    ],
)  # fmt: skip
def test_what_is_no_host_and_port_is_refused_without_being_repeated(address: object) -> None:
    with pytest.raises(Refusal) as refused:
        network_request("flannel_server", {"address": address})
    assert (refused.value.kind, refused.value.key) == ("invalid", "options.address")
    assert len(refused.value.sentence) < 200


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"endpoints": "http://10.0.0.1:2379,https://[::1]:2379", "prefix": "/atomic.io/network"},
        {"endpoints": ["http://etcd.example.com"], "ca_path": "/etc/ca.pem"},
        FILES,
    ],
)
def test_flannel_etcd_takes_where_etcd_is_and_needs_nothing(options: Mapping[str, object]) -> None:
    assert network_request("flannel_etcd", options).options == options


@pytest.mark.parametrize(
    ("kind", "options", "key"),
    [
        ("flannel_server", {}, "options.address"),
        ("flannel_server", {"address": None}, "options.address"),
        ("flannel_server", {"address": "a:1", "prefix": "/x"}, "options.prefix"),
        ("flannel_etcd", {"address": "a:1"}, "options.address"),
        ("flannel_etcd", {"endpoints": []}, "options.endpoints"),
        ("flannel_etcd", {"endpoints": [1]}, "options.endpoints"),
        ("flannel_etcd", {"endpoints": "a:2379"}, "options.endpoints"),
        ("flannel_etcd", {"endpoints": ["http://a"] * 33}, "options.endpoints"),
        ("flannel_etcd", {"prefix": "x"}, "options.prefix"),
        ("flannel_etcd", {"certificate_path": "/c"}, "options.certificate_key_path"),
        ("vxlan", {}, "type"),
        ("", {}, "type"),
    ],
)
def test_what_a_network_cannot_use_is_refused_and_named(
    kind: str, options: Mapping[str, object], key: str
) -> None:
    with pytest.raises(Refusal) as refused:
        network_request(kind, options)
    assert (refused.value.kind, refused.value.key) == ("invalid", key)


@pytest.mark.parametrize("kind", ["openshift", "kubernetes"])
@pytest.mark.parametrize(
    "options",
    [
        {"server_url": URL},
        {"apiserver": "http://192.168.152.101:8080/api/"},
        {"server_url": "HTTPS://[2001:db8::7]:6443/"},
        {"server_url": "https://rancher.example.com/k8s/clusters/c-1", "ca_path": "/etc/ca.pem"},
        {"server_url": URL, "ca_path": "/etc/ca.pem", **FILES},
        {"server_url": URL, "apiserver": f"{URL}/api/"},
    ],
)
def test_the_kubernetes_api_takes_a_url_under_either_name_and_files(
    kind: str, options: Mapping[str, object]
) -> None:
    wanted = container_manager_request(kind, options)
    assert (wanted.options, wanted.token) == (options, None)


def test_a_token_is_masked_in_the_options_and_in_what_a_debugger_shows() -> None:
    wanted = container_manager_request("kubernetes", {"server_url": URL, "token": TOKEN})
    assert wanted.options == {"server_url": URL, "token": MASK}
    assert wanted.token == TOKEN
    assert TOKEN not in repr(wanted)


def test_null_is_as_if_it_were_not_said() -> None:
    options = {"server_url": URL, "token": None, "ca_path": None, "unheard_of": None}
    assert container_manager_request("openshift", options).options == {"server_url": URL}
    assert container_manager_request("trivial", {"token": None}).options == {}


@pytest.mark.parametrize(
    "url",
    [
        "", "master", "master:8443", "//master", "ftp://master", "https://", "https:///api",
        "https://:8443", "https://a b", "https://a\n.b", "https://a\t", " https://a", "https://a\\b",
        "https://10.1", "https://a_b", "https://a:0", "https://a:99999", "https://a:x", "https://a:",
        "https://[::1", "https://::1", "https://[10.0.0.1]", "https://[v1.a]", "https://[fe80::1%25e]",
        "https://user@a", "https://user:s3cret@a", "https://a/?token=s3cret", "https://a/#s3cret",
        "https://a?", "https://a#", "https://ä", "https://a/" + "a" * 3000, 1, None, ["https://a"],
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_server_is_refused_without_being_repeated(url: object) -> None:
    with pytest.raises(Refusal) as refused:
        container_manager_request("openshift", {"server_url": url})
    assert (refused.value.kind, refused.value.key) == ("invalid", "options.server_url")
    assert "s3cret" not in refused.value.sentence
    assert len(refused.value.sentence) < 200


@pytest.mark.parametrize(
    ("kind", "options", "key"),
    [
        ("openshift", {}, "options.server_url"),
        ("kubernetes", {"token": "s3cret"}, "options.server_url"),
        ("openshift", {"server_url": URL, "apiserver": "https://other"}, "options.apiserver"),
        ("openshift", {"apiserver": "other"}, "options.apiserver"),
        ("openshift", {"server_url": URL, "token": ""}, "options.token"),
        ("openshift", {"server_url": URL, "token": "s3cret s3cret"}, "options.token"),
        ("openshift", {"server_url": URL, "token": "s3cret\n"}, "options.token"),
        ("openshift", {"server_url": URL, "token": "s3crét"}, "options.token"),
        ("openshift", {"server_url": URL, "token": ["s3cret"]}, "options.token"),
        ("openshift", {"server_url": URL, "token": TOO_LONG}, "options.token"),
        (
            "openshift",
            {"server_url": URL, "certificate_path": "/c"},
            "options.certificate_key_path",
        ),
        (
            "openshift",
            {"server_url": URL, "certificate_key_path": "/k"},
            "options.certificate_path",
        ),
        ("openshift", {"server_url": URL, "ca_path": "ca.pem"}, "options.ca_path"),
        ("openshift", {"server_url": URL, "ca_path": "/a\x00b"}, "options.ca_path"),
        ("openshift", {"server_url": URL, "ca_path": 1}, "options.ca_path"),
        ("openshift", {"server_url": URL, "password": "s3cret"}, "options.password"),
        ("openshift", {"server_url": URL, "": "s3cret"}, "options."),
        ("trivial", {"server_url": URL}, "options.server_url"),
        ("trivial", {"token": "s3cret"}, "options.token"),
        ("swarm", {}, "type"),
        ("Openshift", {}, "type"),
        ("openshift", {"server_url": URL, "token": "s3cret", **FILES}, "options.token"),
    ],
)
def test_what_a_container_manager_cannot_use_is_refused_and_named(
    kind: str, options: Mapping[str, object], key: str
) -> None:
    with pytest.raises(Refusal) as refused:
        container_manager_request(kind, options)
    assert (refused.value.kind, refused.value.key) == ("invalid", key)
    assert "s3cret" not in refused.value.sentence


def test_an_option_that_nobody_knows_is_named_shortly_and_safely() -> None:
    with pytest.raises(Refusal) as refused:
        container_manager_request("trivial", {"a\n" + "x" * 1000: 1})
    assert refused.value.key is not None
    assert "\n" not in refused.value.sentence
    assert len(refused.value.key) < 100


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://a:8443", "https://a:8443"),
        ("https://a:8443/", "https://a:8443"),
        ("https://a:8443/api", "https://a:8443"),
        ("https://a:8443/api/", "https://a:8443"),
        ("https://a:8443/api/v1/", "https://a:8443"),
        ("https://a/k8s/clusters/c-1/api/", "https://a/k8s/clusters/c-1"),
        ("https://a/myapi/", "https://a/myapi"),
        ("https://api", "https://api"),
        ("https://api/api/v1", "https://api"),
        ("http://[::1]:80/api/", "http://[::1]:80"),
    ],
)
def test_the_path_of_the_api_at_the_end_of_a_url_is_understood(url: str, root: str) -> None:
    assert api_root(url) == root

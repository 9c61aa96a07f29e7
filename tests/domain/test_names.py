"""One canonical form for every name and address."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.names import IPV4, host_address, quoted, remote_user, resource_name
from domain.refusal import Refusal


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::FFFF:192.168.1.7", "192.168.1.7"),
        ("::ffff:c0a8:0107", "192.168.1.7"),
        ("::ffff:169.254.1.2", "169.254.1.2"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("Web-1.Example.COM", "web-1.example.com"),
        ("localhost", "localhost"),
        ("1a.example", "1a.example"),
        ("3com", "3com"),
        ("a" * 63 + ".b", "a" * 63 + ".b"),
    ],
)
def test_an_address_has_one_canonical_form(written: str, canonical: str) -> None:
    assert host_address(written) == canonical == host_address(canonical)


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "10.1", "0x0a000001", "0X0A000001", "167772161", "010.0.0.1", "10.0.0.01",
        "1.2.3.4.5", "256.1.1.1", "1.2.3.0x4", "example.0x", "example.1", "a..b", ".a", "a.",
        "-a", "a-", "a_b", "a b", "a\n", "\na", "10.0.0.1\n", "fe80::1%eth0",
        "fe80::1", "FEBF::1", "[::1]", "::1/128",
        "10.0.0.1:22", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "::ffff:224.0.0.1", "ü.example", "\uff11.2.3.4", "10.0.0.\u0661",
        "a" * 64,
        "a." * 127 + "ab", "../etc/passwd", "host/10.0.0.1", "a\x00", "-oProxyCommand=x",
        "user@host",
        "\u212a.example",
    ],
)  # fmt: skip
def test_what_is_no_address_or_another_way_to_write_one_is_refused(written: str) -> None:
    with pytest.raises(Refusal) as refused:
        host_address(written, "old")
    assert (refused.value.kind, refused.value.key) == ("invalid", "old")
    assert refused.value.sentence.isprintable()


@given(st.ip_addresses())
def test_every_spelling_of_an_ip_address_has_the_same_canonical_form(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    spellings = {str(address), address.exploded, address.exploded.upper()}
    if isinstance(address, ipaddress.IPv4Address):
        spellings |= {f"::ffff:{address}", f"0:0:0:0:0:FFFF:{address}"}
    found = set()
    for spelling in spellings:
        try:
            found.add(host_address(spelling))
        except Refusal:
            found.add("refused")
    assert len(found) == 1


@given(
    st.ip_addresses(v=4).map(str)
    | st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", fullmatch=True, alphabet="0129.")
)
def test_an_ipv4_address_is_known_at_once_where_it_is_one(text: str) -> None:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        wanted = False
    else:
        wanted = not (address.is_unspecified or address.is_multicast)
    assert bool(IPV4.fullmatch(text)) == wanted


@given(st.text(max_size=300))
def test_a_canonical_form_is_its_own(text: str) -> None:
    try:
        canonical = host_address(text)
    except Refusal:
        return
    assert host_address(canonical) == canonical
    assert "/" not in canonical
    assert canonical.isascii()


@pytest.mark.parametrize("name", ["a", "A-b_9", "-", "_", "0", "x" * 64])
def test_a_resource_name_is_unchanged(name: str) -> None:
    assert resource_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a/b", "a.b", "a\n", "ü", "a\x00", "٣"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Refusal):
        resource_name(name)


@pytest.mark.parametrize(
    "user", ["svc-ops@corp.example", "CORP\\svc-ops", "root", "Ops_1", "svc$", "_x", "a.b-c"]
)
def test_an_account_name_is_unchanged(user: str) -> None:
    assert remote_user(user) == user


@pytest.mark.parametrize("user", ["", "-oProxyCommand", "a b", "a;b", "$", "a\n", "x" * 34, "1a"])
def test_what_is_no_account_name_is_refused_and_names_its_key(user: str) -> None:
    with pytest.raises(Refusal) as refused:
        remote_user(user)
    assert refused.value.key == "remote_user"


@given(st.text(max_size=500))
def test_what_is_shown_back_is_short_and_printable(text: str) -> None:
    shown = quoted(text)
    assert shown.isprintable()
    assert len(shown) <= 80 * 10 + 3

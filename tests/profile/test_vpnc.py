"""Adapting configurations of vpnc."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import ConfigError
from culvert.profile.adapters.vpnc import KEYS, adapt, export
from culvert.rng import SeededRandom
from culvert.secret import Secret

WHOLE = """\
# made by hand
IPSec gateway vpn.example.com
IPSec ID branch office
IPSec secret two words
IKE Authmode psk
Xauth username ann
Xauth password " leading blank"
Domain CORP
NAT Traversal Mode force-natt
IKE DH Group dh5
Perfect Forward Secrecy dh14
DPD idle timeout (our side) 60
Interface MTU 1300
IPSEC target network 10.1.2.3/255.0.0.0
Vendor cisco
Local Port 0
Debug 0
"""

SMALLEST = "IPSec gateway h\nIPSec ID g\n"


def test_a_whole_configuration_comes_over_key_by_key() -> None:
    adapted = adapt(WHOLE, name="branch")
    got = adapted.profile
    assert (got.host, got.group, got.user, got.domain) == (
        "vpn.example.com",
        "branch office",
        "ann",
        "CORP",
    )
    assert got.group_key == Secret("two words")
    assert (got.password, got.save_password) == (Secret(" leading blank"), True)
    assert (got.nat_traversal, got.pfs, got.mtu) == ("force", "modp2048", 1300)
    assert (got.dpd_delay, got.dpd_timeout) == (60, 120)
    assert got.remote_networks == ("10.0.0.0/8",)
    assert got.phase1[0] == "aes256-sha2_256-modp1536"
    assert got.extra == {}
    assert [w.key for w in adapted.warnings if w.line] == ["IPSEC target network"]


def test_the_obfuscated_secret_is_decoded() -> None:
    value = (
        "000102030405060708090A0B0C0D0E0F10111213BEE4FACFD43B7037DB79DB96A88DE7866A5EB43D"
        "C7F4E7CE9C819DA6D57522C2118CBAFB"
    )
    profile = adapt(f"{SMALLEST}ipsec obfuscated SECRET\t{value}\n", name="n").profile
    assert profile.group_key == Secret("sharedsecret")


def test_scripts_and_switches_are_kept_and_never_run() -> None:
    text = SMALLEST + "Script /bin/evil\nNo Detach\nEnable Single DES no\nCA-Dir /x\n"
    adapted = adapt(text, name="n")
    assert adapted.profile.extra == {
        "vpnc": {
            "Script": "/bin/evil",
            "No Detach": "",
            "Enable Single DES": "",
            "CA-Dir": "/x",
        }
    }
    told = {(w.line, w.key) for w in adapted.warnings if w.line}
    assert told == {(3, "Script"), (4, "No Detach"), (5, "Enable Single DES"), (6, "CA-Dir")}


def test_the_file_of_an_authority_is_taken_over_and_given_back() -> None:
    taken = adapt(SMALLEST + "IKE Authmode hybrid\nCA-File /etc/vpn/ca.pem\n", name="n")
    assert (taken.profile.authentication, taken.profile.ca) == ("hybrid", ("/etc/vpn/ca.pem",))
    assert taken.profile.extra == {}
    assert not any("ca" in warning.key.lower() for warning in taken.warnings)
    assert "CA-File /etc/vpn/ca.pem\n" in export(taken.profile, SeededRandom(1)).text
    more = replace(taken.profile, ca=("root", "/a.pem", "/b.pem"))
    given = export(more, SeededRandom(1))
    assert "CA-File /a.pem\n" in given.text
    assert [warning for warning in given.warnings if warning.startswith("ca:")]
    unsure = adapt(SMALLEST + "CA-Dir /etc/vpn/authorities\n", name="n")
    assert any("into ca" in warning.sentence for warning in unsure.warnings)


def test_an_unknown_line_is_kept_and_its_value_not_told() -> None:
    adapted = adapt(SMALLEST + "IPSec secert hunter2 x\nIPSec IDx\n", name="n")
    assert adapted.profile.extra == {"vpnc": {"IPSec secert": "hunter2 x", "IPSec": "IDx"}}
    assert not any("hunter2" in str(warning) for warning in adapted.warnings)
    assert adapted.profile.group == "g"


def test_peculiarities_of_reading_are_those_of_vpnc() -> None:
    text = "  IPSec gateway h\nIPSec ID g\nIPSec ID second\nDomain\n#Domain D\n"
    adapted = adapt(text, name="n")
    assert (adapted.profile.host, adapted.profile.group, adapted.profile.domain) == ("h", "g", "")
    assert [(w.line, w.key) for w in adapted.warnings if w.line] == [
        (1, ""),
        (3, "IPSec ID"),
        (4, "Domain"),
    ]


def test_ciscos_own_udp_is_taken_over_and_given_back() -> None:
    taken = adapt(SMALLEST + "NAT Traversal Mode cisco-udp\n", name="n").profile
    assert (taken.nat_traversal, taken.ipsec_over_udp) == ("off", True)
    assert taken.extra == {}
    assert "NAT Traversal Mode cisco-udp\n" in export(taken, SeededRandom(1)).text
    none = adapt(SMALLEST + "NAT Traversal Mode none\n", name="n").profile
    assert (none.nat_traversal, none.ipsec_over_udp) == ("off", False)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("IKE Authmode eap", "not one of psk, cert, hybrid"),
        ("NAT Traversal Mode tcp", "not one of natt"),
        ("IKE DH Group dh3", "not one of the groups"),
        ("Perfect Forward Secrecy maybe", "not one of the groups"),
        ("DPD idle timeout (our side) 5", "neither 0 nor 10 to"),
        ("Interface MTU 100", "not between 576 and 9000"),
        ("Interface MTU big", "not a number"),
        ("IPSEC target network ten", "not an IPv4 network"),
        ("IPSec obfuscated secret 00", "too short"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_line(line: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adapt(f"{SMALLEST}{line}\n", name="n", path="x.conf")
    assert says in str(caught.value)
    assert (caught.value.path, caught.value.line) == ("x.conf", 3)


LINES = st.lists(
    st.tuples(
        st.sampled_from([*(row.name for row in KEYS.values()), "", "#", " IPSec ID", "x y"]),
        st.sampled_from(["", " ", "\t"]),
        st.sampled_from(["", "0", "natt", "dh2", "10.0.0.0/8", '"', '""', "\x00"])
        | st.text(max_size=12),
    ).map("".join),
    max_size=12,
)


@given(st.text(max_size=300) | LINES.map("\n".join))
def test_any_text_is_adapted_or_refused(text: str) -> None:
    try:
        adapted = adapt(text, name="n", path="p")
    except ConfigError as error:
        assert str(error).startswith("p")
    else:
        assert adapted.profile.host
        assert all(warning.sentence for warning in adapted.warnings)

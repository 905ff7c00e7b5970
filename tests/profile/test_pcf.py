"""Adapting profiles of the Cisco VPN client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import ConfigError
from culvert.profile.adapters.pcf import KEYS, adapt, export
from culvert.profile.profile import Profile
from culvert.profile.text import decoded
from culvert.rng import SeededRandom
from culvert.secret import Secret

GROUP_KEY = (
    "000102030405060708090A0B0C0D0E0F10111213BEE4FACFD43B7037DB79DB96A88DE7866A5EB43D"
    "C7F4E7CE9C819DA6D57522C2118CBAFB"
)
"""Obfuscated "sharedsecret"."""

# As the client writes it when an entry is saved from its window: every key, CR LF, one lock.
WHOLE = f"""\
[main]
Description=Branch office
!Host=vpn.example.com
AuthType=1
GroupName=branch
GroupPwd=
enc_GroupPwd={GROUP_KEY}
EnableISPConnect=0
ISPConnectType=0
ISPConnect=
ISPPhonebook=
ISPCommand=
Username=ann
SaveUserPassword=0
UserPassword=
enc_UserPassword=
NTDomain=CORP
EnableBackup=1
BackupServer=vpn2.example.com, 192.0.2.9
EnableMSLogon=1
MSLogonType=0
EnableNat=1
TunnelingMode=0
TcpTunnelingPort=10000
CertStore=0
CertName=
CertPath=
CertSubjectName=
CertSerialHash=00000000000000000000000000000000
SendCertChain=0
VerifyCertDN=
DHGroup=2
ForceKeepAlives=0
PeerTimeout=60
EnableLocalLAN=1
EnableSplitDNS=1
""".replace("\n", "\r\n")

# As NetworkManager's exporter writes it: its own extensions, no group password.
FROM_NETWORK_MANAGER = """\
[main]
Description=nm
Host=198.51.100.7
AuthType=1
GroupName=g
GroupPwd=
Username=
SaveUserPassword=0
EnableNat=1
DHGroup=5
PeerTimeout=0
EnableLocalLAN=1
SingleDES=0
UseLegacyIKEPort=0
X-NM-Routes=10.0.0.0/8 192.168.2.0/24
X-NM-Force-NAT-T=1
X-NM-SaveGroupPassword=0
"""

SMALLEST = "[main]\nHost=h\nGroupName=g\n"


def sentences(text: str, key: str) -> list[tuple[int, str]]:
    return [(w.line, w.sentence) for w in adapt(text, name="n").warnings if w.key == key]


@pytest.mark.requirement("S4-20", part="import: every key with its meaning")
def test_a_whole_profile_comes_over_key_by_key() -> None:
    adapted = adapt(WHOLE, name="branch")
    got = adapted.profile
    assert got == Profile(
        name="branch",
        host="vpn.example.com",
        description="Branch office",
        backup_hosts=("vpn2.example.com", "192.0.2.9"),
        group="branch",
        group_key=Secret("sharedsecret"),
        user="ann",
        domain="CORP",
        phase1=got.phase1,
        phase2=got.phase2,
        legacy=("aggressive-psk", "3des", "sha1", "md5", "modp1024"),
        dpd_delay=20,
        dpd_timeout=60,
        peer_timeout=60,
        allow_local_lan=True,
        locked=("host",),
    )
    assert got.phase1[2] == "aes256-sha1-modp1024"
    assert got.phase2[-1] == "3des-md5"
    # Nothing but the decoded password and the weak things is worth a word.
    assert [w.key for w in adapted.warnings if w.line] == ["enc_GroupPwd"]


def test_weak_things_are_named_in_plain_words() -> None:
    told = [w.sentence for w in adapt(WHOLE, name="n").warnings if w.key == "legacy"]
    assert [sentence.split('"')[1] for sentence in told] == [
        "aggressive-psk",
        "3des",
        "sha1",
        "md5",
        "modp1024",
    ]
    assert "guessed offline" in told[0]


def test_extensions_of_network_manager_come_over() -> None:
    adapted = adapt(FROM_NETWORK_MANAGER, name="nm")
    got = adapted.profile
    assert got.remote_networks == ("10.0.0.0/8", "192.168.2.0/24")
    assert got.nat_traversal == "force"
    assert got.group_key is None
    assert got.phase1[0] == "aes256-sha2_256-modp1536"
    assert (got.peer_timeout, got.dpd_timeout) == (90, 90)
    assert got.extra == {"pcf": {"UseLegacyIKEPort": "0"}}
    assert [w.key for w in adapted.warnings if w.line] == ["PeerTimeout", "UseLegacyIKEPort"]


def test_the_name_of_a_certificate_comes_over_and_goes_back() -> None:
    adapted = adapt("[main]\nHost=h\nAuthType=3\nCertStore=1\nCertName=ann\n", name="n")
    assert (adapted.profile.certificate, adapted.profile.authentication) == ("ann", "certificate")
    assert "CertName=ann" in export(adapted.profile, SeededRandom(1)).text


@pytest.mark.requirement("S4-20", part="import: unknown keys are kept and reported")
def test_an_unknown_key_is_kept_and_reported() -> None:
    text = SMALLEST + "!Colour=blue\n[other]\nHost=elsewhere\n"
    adapted = adapt(text, name="n")
    assert adapted.profile.extra == {"pcf": {"!Colour": "blue", "[other]Host": "elsewhere"}}
    assert adapted.profile.host == "h"
    assert [(w.line, w.key) for w in adapted.warnings if w.line] == [
        (4, "Colour"),
        (6, "[other]Host"),
    ]


@pytest.mark.requirement("S4-20", part="import: ! marks a key the user may not change")
def test_locked_keys_are_noted_as_keys_of_the_profile() -> None:
    text = "[main]\n!Host=h\n!GroupName=g\n!GroupPwd=\n!EnableISPConnect=0\n"
    profile = adapt(text, name="n").profile
    assert profile.locked == ("host", "group", "group_key")
    assert profile.extra == {"pcf": {"!EnableISPConnect": "0"}}


def test_case_order_comments_and_a_missing_section_do_not_matter() -> None:
    text = "; made by hand\nGROUPNAME = g\n\n  hOST= h \nenablelocallan=1\n"
    profile = adapt(text, name="n").profile
    assert (profile.host, profile.group, profile.allow_local_lan) == ("h", "g", True)


def test_octets_from_windows_are_read_as_such() -> None:
    text = decoded(b"[main]\r\nHost=h\r\nGroupName=g\r\nDescription=B\xfcro \x80\r\n")
    assert adapt(text, name="n").profile.description == "Büro €"
    assert decoded("Host=ü".encode("utf-16")) == "Host=ü"
    assert decoded(b"\xef\xbb\xbfHost=\xc3\xbc") == "Host=ü"
    assert decoded(b"\x81") == "\x81"
    with pytest.raises(ConfigError, match="not a text file"):
        decoded(b"a\0b")


def test_the_clear_group_password_counts_before_the_obfuscated_one() -> None:
    text = SMALLEST + f"GroupPwd=newer\nenc_GroupPwd={GROUP_KEY}\n"
    assert adapt(text, name="n").profile.group_key == Secret("newer")
    assert "in clear counts" in sentences(text, "enc_GroupPwd")[0][1]
    turned = SMALLEST + f"enc_GroupPwd={GROUP_KEY}\nGroupPwd=newer\n"
    assert adapt(turned, name="n").profile.group_key == Secret("newer")


def test_of_a_key_given_twice_the_first_counts() -> None:
    text = SMALLEST + "host=other\n"
    assert adapt(text, name="n").profile.host == "h"
    assert sentences(text, "host") == [(4, "is given twice; the value of line 2 counts")]


def test_a_user_password_comes_over_only_where_saving_is_allowed() -> None:
    text = SMALLEST + f"enc_UserPassword={GROUP_KEY}\nSaveUserPassword="
    assert adapt(text + "1", name="n").profile.password == Secret("sharedsecret")
    assert adapt(text + "0", name="n").profile.password is None
    assert "not taken over" in sentences(text + "0", "enc_UserPassword")[-1][1]


def test_backup_servers_that_are_switched_off_are_kept_not_used() -> None:
    text = SMALLEST + "EnableBackup=0\nBackupServer=b\n"
    profile = adapt(text, name="n").profile
    assert profile.backup_hosts == ()
    assert profile.extra == {"pcf": {"BackupServer": "b"}}


@pytest.mark.parametrize(
    ("number", "way", "mode"),
    [("1", "xauth-psk", "aggressive"), ("3", "certificate", "main"), ("5", "hybrid", "aggressive")],
)
def test_every_way_to_authenticate_is_taken_over(number: str, way: str, mode: str) -> None:
    text = f"[main]\nHost=h\nAuthType={number}\nGroupName=g\n"
    profile = adapt(text, name="office").profile
    assert (profile.authentication, profile.exchange_mode) == (way, mode)


@pytest.mark.parametrize(
    ("line", "line_number", "says"),
    [
        ("AuthType=2", 4, "not one of 1, 3, 5"),
        ("EnableLocalLAN=yes", 4, "neither 0 nor 1"),
        ("EnableBackup=2", 4, "neither 0 nor 1"),
        ("DHGroup=3", 4, "not one of the groups"),
        ("DHGroup=²", 4, "not one of the groups"),
        ("PeerTimeout=soon", 4, "not a number"),
        ("enc_GroupPwd=ABCD", 4, "too short"),
        ("X-NM-Routes=10.0.0.0/40", 4, "not an IPv4 network"),
        ("EnableBackup=1\nBackupServer=a b", 5, "neither a host name nor an address"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_line(
    line: str, line_number: int, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        adapt(f"{SMALLEST}{line}\n", name="n", path="x.pcf")
    assert says in str(caught.value)
    assert (caught.value.path, caught.value.line) == ("x.pcf", line_number)


def test_a_missing_host_is_told_in_the_words_of_the_format() -> None:
    with pytest.raises(ConfigError, match=r"x\.pcf: Host: is missing"):
        adapt("[main]\nGroupName=g\n", name="n", path="x.pcf")


@pytest.mark.parametrize(
    ("given", "used"), [("10", 30), ("30", 30), ("90", 90), ("480", 480), ("999", 480)]
)
def test_the_peer_time_out_stays_in_the_range_of_the_client(given: str, used: int) -> None:
    text = f"{SMALLEST}PeerTimeout={given}\n"
    profile = adapt(text, name="n").profile
    assert (profile.peer_timeout, profile.dpd_timeout) == (used, used)
    assert bool(sentences(text, "PeerTimeout")) == (given != str(used))


def test_quotes_as_windows_writes_them_are_taken_off() -> None:
    text = SMALLEST + 'Username="ann lee"\n'
    assert adapt(text, name="n").profile.user == "ann lee"
    assert sentences(text, "Username")[0][0] == 4


def test_what_is_not_built_yet_is_kept_and_said() -> None:
    text = SMALLEST + "SingleDES=1\nISPCommand=dial.exe\n"
    adapted = adapt(text, name="n")
    assert adapted.profile.extra["pcf"] == {
        "SingleDES": "1",
        "ISPCommand": "dial.exe",
    }
    assert [w.key for w in adapted.warnings if w.line] == list(adapted.profile.extra["pcf"])


def test_transparent_tunnelling_over_tcp_is_taken_over() -> None:
    tcp = SMALLEST + "TunnelingMode=1\nTcpTunnelingPort=10001\n"
    taken = adapt(tcp + "EnableNat=1\n", name="n").profile
    assert (taken.ipsec_over_tcp, taken.tcp_port) == (True, 10_001)
    assert "TunnelingMode=1\r\nTcpTunnelingPort=10001" in export(taken, SeededRandom(1)).text
    off = adapt(tcp + "EnableNat=0\n", name="n")
    assert not off.profile.ipsec_over_tcp
    assert off.profile.extra["pcf"] == {"TunnelingMode": "1"}
    assert any("EnableNat is 0" in str(warning) for warning in off.warnings)
    for wrong in ("0", "65536", "x"):
        with pytest.raises(ConfigError):
            adapt(SMALLEST + f"TcpTunnelingPort={wrong}\n", name="n")


def test_no_warning_repeats_a_secret() -> None:
    text = SMALLEST + "GroupPwd=hunter2\nhunter2\nUserPassword=hunter2\nPasword=hunter2\n"
    adapted = adapt(text, name="n")
    assert not any("hunter2" in str(warning) for warning in adapted.warnings)
    assert "hunter2" not in repr(adapted.profile).replace("'Pasword': 'hunter2'", "")


def test_every_value_is_used_kept_or_the_format_s_default() -> None:
    for row in KEYS.values():
        if row.kind:
            continue
        for value in ("0", "1", "x", ""):
            profile = adapt(f"{SMALLEST}{row.name}={value}\n", name="n").profile
            kept = profile.extra.get("pcf", {}).get(row.name)
            assert (kept == value) != (value in row.quiet), row.name


LINES = st.lists(
    st.tuples(
        st.sampled_from([*(row.name for row in KEYS.values()), "", "!", "[x]", "Foo", "!Host"]),
        st.sampled_from(["", "=", " = "]),
        st.sampled_from(["", "0", "1", "2", "h", "10.0.0.0/8", "\x00", '"', "\u2028", GROUP_KEY])
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


@given(st.binary(max_size=300))
def test_any_octets_are_text_or_refused(octets: bytes) -> None:
    try:
        text = decoded(octets, path="p")
    except ConfigError:
        assert b"\0" in octets or octets[:2] in (b"\xff\xfe", b"\xfe\xff")
    else:
        assert "\0" not in text

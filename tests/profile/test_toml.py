"""Our own profile format: reading, refusing, writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import ConfigError
from culvert.profile.profile import KEYS, InvalidProfile, Profile
from culvert.profile.toml import LONGEST_FILE, default, read, write
from profile_samples import profiles

SMALLEST = 'host = "vpn.example.com"\ngroup = "staff"\nlegacy = ["aggressive-psk"]\n'


def test_a_small_file_is_a_whole_profile() -> None:
    assert read(SMALLEST, name="work") == Profile(
        name="work", host="vpn.example.com", group="staff", legacy=("aggressive-psk",)
    )


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    text = (
        'hots = "x"\n'
        "\n"
        "mtu = 99\n"
        "dpd_delay = true\n"
        'phase1 = ["aes256-sha9_256-modp2048"]\n'
        'legacy = ["aggressive-psk"]\n'
        'group = "g"\n'
    )
    with pytest.raises(InvalidProfile) as caught:
        read(text, name="work", path="work.toml")
    assert [(mistake.line, mistake.key) for mistake in caught.value.mistakes] == [
        (1, "hots"),
        (3, "mtu"),
        (4, "dpd_delay"),
        (5, "phase1"),
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == 'work.toml:1: hots: unknown key; did you mean "host"?'
    assert lines[3].endswith('did you mean "sha2_256"?')


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('hsot = "192.0.2.1"\ngroup = "g"\nlegacy = ["aggressive-psk"]\n', "hsot"),
        ('host = "192.0.2.1"\ngruop = "g"\nlegacy = ["aggressive-psk"]\n', "gruop"),
    ],
)
def test_a_misspelled_key_is_one_mistake_and_not_missing_as_well(text: str, key: str) -> None:
    with pytest.raises(InvalidProfile) as caught:
        read(text, name="work")
    (mistake,) = caught.value.mistakes
    assert mistake.key == key
    assert "did you mean" in mistake.sentence


def test_a_key_that_nothing_resembles_is_missing() -> None:
    with pytest.raises(InvalidProfile, match="host: is missing"):
        read('xyzzy = "192.0.2.1"\ngroup = "g"\nlegacy = ["aggressive-psk"]\n', name="work")


def test_an_ipv6_gateway_is_refused_before_it_is_looked_up() -> None:
    with pytest.raises(InvalidProfile, match="an IPv6 address, and gateways are called over IPv4"):
        read('host = "fd00::50"\ngroup = "g"\nlegacy = ["aggressive-psk"]\n', name="work")


def test_a_wrong_secret_is_never_repeated() -> None:
    text = SMALLEST + 'group_key = "hush\\u0001hush"\npassword = 77345\n'
    with pytest.raises(ConfigError) as caught:
        read(text, name="work")
    assert "hush" not in str(caught.value)
    assert "77345" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("mtu = 1400.5", "whole number without quotes or"),
        ('mtu = "big"', 'or "auto"'),
        ("save_password = 1", "true or false"),
        ('remote_networks = "10.0.0.0/8"', "list of texts"),
        ('remote_networks = ["10.0.0.1/8"]', "not an IPv4 network"),
        ('backup_hosts = ["192.0.2.1", "fd00::50"]', "give the gateway's IPv4 address"),
        ('remote_networks = ["fd00:1::/64"]', "only IPv4 travels inside a tunnel: leave it out"),
        (
            'remote_networks = ["10.0.0.0/8", "fd00:1::/64"]',
            "only IPv4 travels inside a tunnel: leave it out",
        ),
        ("remote_networks = []", "for everything write"),
        ('authentication = "xauth_psk"', 'did you mean "xauth-psk"'),
        ('nat_traversal = "of"', 'did you mean "off"'),
        ('pfs = "modp1024"', 'must contain "modp1024" to use modp1024; it is weak'),
        ('pfs = "modp2084"', 'did you mean "modp2048"'),
        ('phase2 = ["3des-md5"]', 'must contain "3des"'),
        ('phase2 = ["aes256"]', "not made like a phase 2 proposal"),
        ('phase1 = ["aes256-sha2_256-modp2048", "aes256-sha2_256-modp3072"]', "only one"),
        ('password = "x"', "only with save_password"),
        ('password = ""', "is empty"),
        ("dpd_delay = 90", "longer than dpd_delay"),
        ('backup_hosts = ["a b"]', "neither a host name nor an address"),
        ('backup_hosts = ["10.1.1"]', "neither a host name nor an address"),
        ('locked = ["hosts"]', 'did you mean "host"'),
        ("extra = 3", "must hold tables"),
        ("extra.pcf = { A = 1 }", "must be a table of texts"),
        ('description = "a\\u001b[2J"', "control characters"),
    ],
)
def test_a_wrong_value_is_refused_saying_what_would_be_right(line: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"{SMALLEST}{line}\n", name="work", path="p")
    assert says in str(caught.value)


def test_weak_proposals_need_each_of_their_switches() -> None:
    text = 'host = "h"\ngroup = "g"\nphase1 = ["3des-md5-modp1024"]\n'
    with pytest.raises(InvalidProfile) as caught:
        read(text, name="work")
    told = [mistake.sentence for mistake in caught.value.mistakes]
    assert [s.split('"')[1] for s in told] == ["aggressive-psk", "3des", "md5", "modp1024"]


def test_a_file_that_is_no_profile_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ConfigError, match="longer than"):
        read("#" * (LONGEST_FILE + 1), name="work")


@pytest.mark.parametrize("name", ["", "-x", "a/b", "..", "a\nb", " a", "x" * 65])
def test_a_name_that_could_not_be_a_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a name"):
        read(SMALLEST, name=name)


@given(profiles())
def test_what_is_written_is_read_back(profile: Profile) -> None:
    assert read(write(profile), name="n") == profile


@given(st.text(max_size=200) | st.text(alphabet='host=" \n[]{}1.,true#', max_size=80))
def test_any_text_is_a_profile_or_refused(text: str) -> None:
    try:
        profile = read(text, name="n", path="p")
    except ConfigError as error:
        assert str(error).startswith("p")
    else:
        assert profile.host


def test_the_table_of_keys_and_the_type_agree() -> None:
    profile = read(SMALLEST, name="work")
    given_here = {"host", "group", "legacy"}
    fields = set(Profile.__dataclass_fields__) - {"name", "extra"}
    assert fields == set(KEYS)
    for key in KEYS.values():
        if key.name not in given_here:
            assert getattr(profile, key.name) == default(key), key.name


def test_only_what_differs_from_the_defaults_is_written() -> None:
    written = write(read(SMALLEST, name="work"))
    assert [line.split(" ")[0] for line in written.splitlines()[1:]] == ["host", "group", "legacy"]

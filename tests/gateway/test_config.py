"""The configuration file: every mistake at once, where it stands, and what would be right."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.gateway.config import InvalidConfig, examine, load, problems
from culvert.gateway.reading import LONGEST_LIST, LONGEST_TEXT
from culvert.identity.lockout import LockoutRule
from culvert.ike.natt import PREFERENCE
from culvert.policy.group import Liveness
from culvert.secret import Secret
from culvert.vault.password import Argon2id, FastHash

SMALL = """\
[[pool]]
name = "clients"
addresses = ["40.1.1.1-40.1.1.254"]

[[group]]
name = "ciscovpn"
key = "c!sc0-is-long-enough-here"
legacy = ["aggressive-psk"]
"""


def told(text: str) -> list[str]:
    """Every problem as ``line: what``."""
    return [f"{one.line}: {one.what}" for one in problems(text, "gateway.toml")]


def only(text: str) -> str:
    found = told(text)
    assert len(found) == 1, found
    return found[0]


def test_a_small_file_is_enough() -> None:
    config = load(SMALL, "gateway.toml")
    group = config.group("ciscovpn")
    assert group is not None
    assert (group.pool, group.natt, group.liveness) == ("clients", PREFERENCE, Liveness(30, 1, 20))
    assert config.live.lockout == LockoutRule()
    assert (config.restart.ike_port, config.restart.natt_port) == (500, 4500)
    assert config.group_keys["ciscovpn"] == Secret("c!sc0-is-long-enough-here")
    pool = config.pool("clients")
    assert pool is not None
    assert pool.size == 254
    assert config.group("nobody") is None


def test_no_key_is_in_what_is_printed() -> None:
    assert "c!sc0" not in repr(load(SMALL, "gateway.toml"))


def test_every_mistake_comes_at_once_in_the_order_of_the_file() -> None:
    text = dedent("""\
        [gateway]
        liste = ["0.0.0.0"]
        ike_port = "500"
        mtu = 100
        lan = ["192.168.2.0/24"]
        phase1 = ["aes256-sha256-modp2408"]
        legacy = ["tripledes"]

        [[pool]]
        name = "one"
        addresses = ["192.168.2.100-192.168.2.200"]

        [[pool]]
        name = "two"
        addresses = ["192.168.2.150-192.168.3.1", "nonsense"]

        [[group]]
        name = "sales"
        key_file = "not-there"
        pool = "won"
        legacy = ["aggressive-psk"]
        split_include = ["192.168.2.5/24"]
        hours = ["mon-fry 08:00-18:00"]

        [[group]]
        name = "sales"
        key = "x"
        pool = "two"
        legacy = []

        [[user]]
        name = "ann"
        password_hash = "secret"
        groups = ["sails"]

        [gatway]
        """)
    found = told(text)
    wanted = [
        (2, "unknown key 'liste' in [gateway]; did you mean \"listen\"?"),
        (3, "ike_port must be a whole number without quotes"),
        (4, "mtu must be 576 to 9000 (octets)"),
        (6, "did you mean 'modp2048'?"),
        (7, "there is no switch 'tripledes'"),
        (11, "lies in 192.168.2.0/24 of [gateway] lan"),
        (15, "lies in 192.168.2.0/24 of [gateway] lan"),
        (15, "overlap (pools 'one' and 'two')"),
        (15, '"nonsense" is no range of addresses'),
        (19, "key_file not-there cannot be read: No such file or directory"),
        (20, "there is no pool 'won'; did you mean"),
        (22, 'did you mean "192.168.2.0/24"?'),
        (23, '"fry" is no day'),
        (26, "[[group]] 'sales' stands here a second time"),
        (27, "the key of group 'sales' has at most 0 bits where 128 are needed"),
        (29, 'add "aggressive-psk" to legacy'),
        (33, "password_hash of 'ann' is no hash of back end local"),
        (34, "there is no group 'sails'; did you mean"),
        (36, "unknown section 'gatway'; did you mean \"gateway\"?"),
    ]
    for line, what in wanted:
        assert any(one.startswith(f"{line}: ") and what in one for one in found), (line, what)
    assert [int(one.split(":")[0]) for one in found] == sorted(
        int(one.split(":")[0]) for one in found
    )


def test_loading_raises_all_of_them_with_their_places() -> None:
    with pytest.raises(InvalidConfig) as caught:
        load("[gateway]\nmtu = 1\nike_port = 4500\n", "/etc/x.toml")
    assert len(caught.value.problems) == 3
    assert str(caught.value).startswith("/etc/x.toml:1: ")
    assert str(caught.value).splitlines()[2].startswith("/etc/x.toml:2: mtu must be")


def test_an_empty_file_is_told_what_is_missing() -> None:
    assert "no [[group]]" in only("")


def test_what_is_no_toml_is_told_with_its_line() -> None:
    assert only("[gateway]\nmtu = = 3\n").startswith("2: not TOML")


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("gateway = 3\n", "1: gateway must be one table, headed [gateway]"),
        ("[pool]\nname = 'x'\n", "1: pool must be a list of tables, each headed [[pool]]"),
        ("pool = [3]\n", "1: pool must be a list of tables, each headed [[pool]]"),
    ],
)
def test_a_section_of_the_wrong_shape_is_told(section: str, what: str) -> None:
    assert what in told(section)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("listen = []", "listen names no address"),
        ('listen = ["localhost"]', "listen: 'localhost' does not appear to be"),
        ("natt_port = 500", "must differ"),
        ('tun = "a name with spaces"', "interface name"),
        ("phase2 = []", "phase2 is empty"),
        ('phase2 = ["aes256"]', "needs an integrity algorithm"),
        ('phase1 = ["3des-sha2_256-modp2048"]', 'add "3des" to legacy'),
        ("session_limit = true", "whole number"),
        ("forwarding = 1", "true or false"),
        ('nat_traversal = "on"', "must be one of auto, off, force, draft-03, draft-02, early"),
        ("listen = [1]", "list of texts"),
        (f'identity = "{"x" * (LONGEST_TEXT + 1)}"', "longer than"),
        (f"lan = {['10.0.0.0/8'] * (LONGEST_LIST + 1)}", "more than"),
        (f"lan = ['{'x' * (LONGEST_TEXT + 1)}']", "entry longer than"),
    ],
)
def test_a_wrong_setting_of_the_gateway_is_told_at_its_line(line: str, what: str) -> None:
    found = only(f"[gateway]\n{line}\n{SMALL}")
    assert found.startswith("2: ")
    assert what in found


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('dns = ["ns.example.org"]', "dns: Expected 4 octets"),
        ('split_include = ["2001:db8::/32"]', "only IPv4"),
        ('split_dns = ["no domain"]', "no domain name"),
        ('default_domain = "-"', "no domain name"),
        (f'banner = "{"ü" * 256}"', "banner is longer than 510 octets"),
        (f"backup_servers = {['a'] * 11}", "10 backup_servers at most"),
        ('key_file = "x"', "one of them is too much"),
        ('pool = "other"', "there is no pool 'other'"),
        ("authentication = []", "nobody could prove anything"),
        ('authentication = ["xauth-pks"]', "there is no authentication 'xauth-pks'"),
        ('phase1 = ["aes128-sha1-modp2048"]', 'add "sha1" to legacy'),
    ],
)
def test_a_wrong_setting_of_a_group_is_told_at_its_line(line: str, what: str) -> None:
    found = told(f"{SMALL}{line}\n")
    assert any(one.startswith("9: ") and what in one for one in found), found


def test_a_group_without_key_is_told() -> None:
    assert "5: group 'ciscovpn' has no key" in only(SMALL.replace('key = "c!sc0', '# "'))


def test_a_group_without_pool_is_told_when_there_are_several_or_none() -> None:
    second = '[[pool]]\nname = "second"\naddresses = ["203.0.113.0/24"]\n'
    assert "has no pool" in only(second + SMALL)
    assert "add a [[pool]]" in only(SMALL[SMALL.index("[[group]]") :])


def test_ipv6_pools_are_not_handed_out() -> None:
    assert "only IPv4" in told(SMALL.replace("40.1.1.1-40.1.1.254", "2001:db8::/64"))[0]


def test_a_group_inherits_from_the_gateway_what_it_does_not_say() -> None:
    text = dedent("""\
        [gateway]
        legacy = ["aggressive-psk", "sha1", "modp1024"]
        phase1 = ["aes128-sha1-modp1024"]
        dpd_delay = 7
        nat_traversal = "force"

        [[pool]]
        name = "clients"
        addresses = ["40.1.1.1"]
        [[group]]
        name = "a"
        key = "long enough to be a key"
        [[group]]
        name = "b"
        key = "long enough to be a key"
        legacy = ["aggressive-psk"]
        phase1 = ["aes256-sha2_256-modp2048"]
        dpd_delay = 9
        """)
    config = load(text, "gateway.toml")
    a, b = config.group("a"), config.group("b")
    assert a is not None
    assert b is not None
    assert a.ike_proposals == ("aes128-sha1-modp1024",)
    assert a.legacy == {"aggressive-psk", "sha1", "modp1024"}
    assert (a.liveness.idle_seconds, b.liveness.idle_seconds) == (7, 9)
    assert b.legacy == {"aggressive-psk"}
    assert a.natt_force
    assert b.natt_force


def test_a_group_that_drops_a_switch_must_drop_its_proposals_too() -> None:
    text = f'[gateway]\nlegacy = ["sha1"]\nphase1 = ["aes128-sha1-modp2048"]\n{SMALL}'
    assert 'add "sha1" to legacy' in only(text)


def test_every_switch_that_is_on_is_warned_of_where_it_stands() -> None:
    text = SMALL.replace('["aggressive-psk"]', '["aggressive-psk", "md5"]')
    warned = [f"{one.line}: {one.what}" for one in examine(text, "gateway.toml").warnings]
    assert any(one.startswith("8: legacy aggressive-psk is on: ") for one in warned)
    assert any(one.startswith("8: legacy md5 is on: ") for one in warned)


WEAK = 'legacy = ["aggressive-psk", "weak-group-key"]'


@pytest.mark.parametrize("key", ["cisco123", "ab" * 40, "only-letters-at-hand"])
def test_a_weak_key_is_refused_unless_its_switch_is_on(key: str) -> None:
    text = SMALL.replace("c!sc0-is-long-enough-here", key)
    said = only(text)
    assert said.startswith("7: the key of group 'ciscovpn' has at most ")
    for part in ("128 are needed", "guess", "culvert gateway group add", "weak-group-key"):
        assert part in said
    assert key not in said
    examined = examine(text.replace('legacy = ["aggressive-psk"]', WEAK), "gateway.toml")
    assert examined.config is not None
    assert examined.config.group_keys["ciscovpn"] == Secret(key)
    assert any("legacy weak-group-key is on" in one.what for one in examined.warnings)
    assert not any(key in str(one) for one in examined.warnings)


def test_the_switch_of_the_gateway_holds_for_groups_without_switches_of_their_own() -> None:
    weak = SMALL.replace("c!sc0-is-long-enough-here", "cisco123")
    inherited = weak.replace('legacy = ["aggressive-psk"]\n', "")
    assert told(f"[gateway]\n{WEAK}\n{inherited}") == []
    assert "weak-group-key" in only(f"[gateway]\n{WEAK}\n{weak}")


def test_a_key_file_is_read_beside_the_configuration(tmp_path: Path) -> None:
    key = tmp_path / "sales.key"
    key.write_text("c!sc0-from-a-file-of-its-own\n")
    key.chmod(0o640)
    text = SMALL.replace('key = "c!sc0-is-long-enough-here"', 'key_file = "sales.key"')
    examined = examine(text, str(tmp_path / "gateway.toml"))
    assert examined.config is not None
    assert examined.config.group_keys["ciscovpn"] == Secret("c!sc0-from-a-file-of-its-own")
    assert any("chmod 600" in one.what for one in examined.warnings)
    key.chmod(0o600)
    again = examine(text, str(tmp_path / "gateway.toml"))
    assert not any("chmod 600" in one.what for one in again.warnings)


@pytest.mark.parametrize("content", [b"", b"two\nlines\n", b"\xff\xfe"])
def test_a_key_file_that_is_not_one_line_of_text_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    text = SMALL.replace('key = "c!sc0-is-long-enough-here"', 'key_file = "key"')
    found = problems(text, str(tmp_path / "gateway.toml"))
    assert [one.line for one in found] == [7]


@pytest.mark.parametrize("written", ["key =", "key=", "key   =", '"key" ='])
def test_a_file_with_keys_that_others_may_read_is_warned_of(tmp_path: Path, written: str) -> None:
    path = tmp_path / "gateway.toml"
    text = SMALL.replace("key =", written)
    path.write_text(text)
    path.chmod(0o644)
    assert any("chmod 600" in one.what for one in examine(text, str(path)).warnings)
    path.chmod(0o600)
    assert not any("chmod 600" in one.what for one in examine(text, str(path)).warnings)


def user(stored: str, *, name: str = "ann", groups: str = '["ciscovpn"]') -> str:
    return f'[[user]]\nname = "{name}"\npassword_hash = "{stored}"\ngroups = {groups}\n'


def test_users_in_the_file_become_accounts() -> None:
    stored = Argon2id().hash(Secret("x"))
    (account,) = load(SMALL + user(stored), "gateway.toml").restart.accounts
    assert (account.name, account.password_hash) == ("ann", stored)
    assert account.groups == {"ciscovpn"}
    assert account.enabled


def test_fast_hashes_need_their_back_end_and_its_switch() -> None:
    stored = FastHash().hash(Secret("x"))
    assert "no hash of back end local" in only(SMALL + user(stored))
    backend = '[users]\nbackend = "fast-hash"\n'
    assert "needs the legacy switch" in only(SMALL + backend + user(stored))
    on = '[gateway]\nlegacy = ["fast-hash"]\n'
    config = load(on + SMALL + backend + user(stored), "gateway.toml")
    assert config.restart.users_backend == "fast-hash"


def test_two_users_of_one_name_and_names_that_cannot_be_are_told() -> None:
    stored = Argon2id().hash(Secret("x"))
    assert "second time" in only(SMALL + user(stored) + user(stored))
    assert "no user name" in only(SMALL + user(stored, name=" ann"))


def test_no_secret_is_in_any_message() -> None:
    text = SMALL.replace('key = "c!sc0-is-long-enough-here"', 'key = ["c!sc0-is-long-enough-here"]')
    everything = " ".join(told(text + user("hunter2hunter2")))
    assert "must be a text in quotes" in everything
    assert "c!sc0" not in everything
    assert "hunter2" not in everything


@given(st.text(max_size=200))
def test_no_text_gets_anything_but_problems(text: str) -> None:
    assert problems(text, "gateway.toml")


VALUES = st.recursive(
    st.sampled_from(["1", "-1", '""', '"x"', "true", "1.5", "[]", "{}", "1979-05-27"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)
LINES = st.sampled_from([line.split("=")[0] for line in SMALL.splitlines() if "=" in line])


@given(st.lists(st.tuples(LINES, VALUES), min_size=1, max_size=3, unique_by=lambda pair: pair[0]))
def test_any_value_at_any_key_is_a_problem_or_a_configuration(
    changes: list[tuple[str, str]],
) -> None:
    text = SMALL
    for key, value in changes:
        at = text.index(f"{key}=")
        text = f"{text[:at]}{key}= {value}{text[text.index(chr(10), at) :]}"
    examined = examine(text, "gateway.toml")
    assert (examined.config is None) == bool(examined.problems)
    assert all(one.line for one in examined.problems)

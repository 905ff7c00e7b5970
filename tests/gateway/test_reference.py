"""The reference file, the table of keys and the model say the same."""

from __future__ import annotations

import atexit
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from culvert.gateway.config import GatewayConfig, load
from culvert.gateway.reading import REPEATED, TABLE, Key
from culvert.secret import Secret
from culvert.tables.loader import rows
from culvert.vault.credential import key_pem
from culvert.vault.password import FastHash
from identity.certificates.authority import issue, root

SAMPLE = Path(__file__).parents[2] / "docs" / "reference" / "gateway.toml"
KEYS = rows(TABLE, "key", Key)
_KEY_LINE = re.compile(r"#?(\w+) = .*")
_LIVE = re.compile(r"#(?=\w+ = |\[\[)")


def told(key: Key) -> str:
    """What the reference says about a key."""
    tail = [f"{key.unit}, {key.low} to {key.high}"] if key.kind == "number" else []
    tail += [" | ".join(key.choices)] if key.choices else []
    tail += [key.scope] + ["per group"] * key.per_group
    return f"{key.meaning} ({'; '.join(tail)})"


def test_the_sample_describes_every_key_in_order_as_the_table_does() -> None:
    described: list[tuple[str, str]] = []
    comment: list[str] = []
    for line in SAMPLE.read_text("utf-8").splitlines():
        if found := _KEY_LINE.fullmatch(line):
            described.append((found[1], " ".join(comment)))
        comment = [*comment, line[2:]] if line.startswith("# ") else []
    assert described == [(key.name, told(key)) for key in KEYS]


def test_the_sample_gives_every_key_its_default() -> None:
    text = "\n".join(_LIVE.sub("", line) for line in SAMPLE.read_text("utf-8").splitlines())
    document = tomllib.loads(text)
    assert list(document) == list(dict.fromkeys(key.section for key in KEYS))
    for key in KEYS:
        section = document[key.section]
        table = section[0] if key.section in REPEATED else section
        if key.default:
            assert table[key.name] == key.value, key.name
        else:
            assert table[key.name], key.name


def test_the_sample_as_it_stands_sets_nothing_but_defaults() -> None:
    parts = (SAMPLE.read_text("utf-8"), GROUP)
    assert model("\n".join(parts)) == model(GROUP)


GROUP = """
[[pool]]
name = "clients"
addresses = ["40.1.1.0/24"]

[[group]]
name = "ciscovpn"
key = "a key that is long enough"
legacy = ["aggressive-psk"]
"""

FILES = TemporaryDirectory()


def write_files() -> None:
    """What the keys of certificates may name."""
    folder, own = Path(FILES.name), issue("gw", root(), number=2)
    (folder / "root.pem").write_bytes(root().certificate.pem)
    (folder / "own.pem").write_bytes(key_pem(own.key) + own.certificate.pem)
    (folder / "own.pem").chmod(0o600)
    (folder / "root.crl").write_bytes(b"looked at when a caller comes")


write_files()
atexit.register(FILES.cleanup)

FAST = FastHash().hash(Secret("x"))

OTHER = {
    "list": {
        "listen": '["192.0.2.1"]',
        "lan": '["192.168.2.0/24"]',
        "authentication": '["hybrid", "xauth-psk"]',
        "phase1": '["aes192-sha2_256-modp2048"]',
        "phase2": '["aes192gcm16"]',
        "addresses": '["203.0.113.0/24"]',
        "split_dns": '["example.org"]',
        "backup_servers": '["vpn2.example.org"]',
        "hours": '["mon-fri 08:00-18:00"]',
        "dns": '["192.0.2.53"]',
        "nbns": '["192.0.2.54"]',
        "split_include": '["192.168.2.0/24"]',
        "split_exclude": '["192.168.3.0/24"]',
        "client_ca": f'["{FILES.name}/root.pem"]',
        "revocation_lists": f'["{FILES.name}/root.crl"]',
        "fetch_targets": '["10.1.0.0/16"]',
    },
    "choice": {
        "preset": '"vpn3000-exact"',
        "fragmentation": '"after-ipsec"',
        "nat_traversal": '"force"',
        "backend": '"fast-hash"',
        "revocation": '"hard"',
        "mode_config": '"push"',
        "firewall": '"required"',
    },
    "text": {
        "tun": '"other0"',
        "pool": '"second"',
        "default_domain": '"example.org"',
        "main_mode_group": '"ciscovpn"',
        "certificate_group": '"ciscovpn"',
        "certificate": f'"{FILES.name}/own.pem"',
        "private_key": '"key.pem"',
    },
}


@pytest.mark.parametrize("key", [key for key in KEYS if key.section in ("gateway", "lockout")])
def test_every_setting_of_the_gateway_reaches_the_class_of_its_scope(key: Key) -> None:
    if key.name == "legacy":
        text = f'[gateway]\nlegacy = ["aggressive-psk"]\n{GROUP}'
    else:
        text = f"[{key.section}]\n{key.name} = {other(key)}\n{GROUP}"
    before, after = model(GROUP), model(text)
    restart, live = before.restart != after.restart, before.live != after.live
    assert (restart, live) == (key.scope == "restart", key.scope == "live")


OF_GROUPS = [key for key in KEYS if key.per_group or key.section == "group"]
TESTED_ELSEWHERE = ("name", "legacy")
"""Another name is another group; switches are tested beside the proposals that need them."""


@pytest.mark.parametrize("key", [key for key in OF_GROUPS if key.name not in TESTED_ELSEWHERE])
def test_every_setting_of_a_group_reaches_that_group_alone(key: Key, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("another key that is long enough")
    base = f"""
        [[pool]]
        name = "second"
        addresses = ["198.51.100.0/24"]
        {GROUP}
        pool = "clients"
        [[group]]
        name = "sales"
        legacy = ["aggressive-psk"]
    """
    own = {"key": 'key = "a key that is long enough"', "pool": 'pool = "clients"'}
    changed = own | {key.name: f"{key.name} = {other(key)}"}
    if key.name == "key_file":
        changed = {"key_file": 'key_file = "key"', "pool": own["pool"]}
    path = str(tmp_path / "gateway.toml")
    before = load(base + "\n".join(own.values()), path)
    after = load(base + "\n".join(changed.values()), path)
    assert before.group("ciscovpn") == after.group("ciscovpn")
    if key.name in ("key", "key_file"):
        assert before.group_keys["sales"] != after.group_keys["sales"]
    else:
        assert before.group("sales") != after.group("sales")
    assert before.restart == after.restart


@pytest.mark.parametrize(("name", "value"), [("enabled", "false"), ("groups", "[]")])
def test_every_setting_of_a_user_reaches_the_account(name: str, value: str) -> None:
    assert model(with_user()).restart.accounts != model(with_user(**{name: value})).restart.accounts


def with_user(**changed: str) -> str:
    settings = {"name": '"ann"', "password_hash": f'"{FAST}"', "groups": '["ciscovpn"]'} | changed
    lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
    head = '[gateway]\nlegacy = ["fast-hash"]\n[users]\nbackend = "fast-hash"\n'
    return f"{head}{GROUP}[[user]]\n{lines}\n"


def other(key: Key) -> str:
    """A sound value that is not the default."""
    if key.kind == "flag":
        return "false" if key.default == "true" else "true"
    if key.kind == "number":
        return str(key.high - 1)
    return OTHER[key.kind].get(key.name, '"another value that is long enough"')


def model(text: str) -> GatewayConfig:
    return replace(load(text, "gateway.toml"), path="")

"""Any valid profile, for properties."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from culvert.profile.adapters.draft import OFFERS
from culvert.profile.profile import KEYS, Profile
from culvert.secret import Secret

ERA = {phase: tuple(o.name for o in OFFERS if o.phase == phase) for phase in (1, 2)}

texts = st.text(
    st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30
)
secrets = st.none() | texts.map(Secret)


any_extra = st.dictionaries(texts, st.dictionaries(texts, texts, min_size=1), max_size=3)
kept_extra = st.sampled_from(
    [
        {},
        {"pcf": {"Foo": "b a r", "!Bar": "", "[other]Foo": "1", "CertPath": "1"}},
        {"vpnc": {"Foo bar": "b a", "CA-Dir": "/x", "No Detach": ""}},
    ]
)
"""Foreign keys as adapters keep them."""

name_services = st.one_of(
    st.sampled_from([one for one in KEYS["dns"].choices if one != "manual"]).map(
        lambda dns: {"dns": dns}
    ),
    st.sampled_from(KEYS["dns_mode"].choices).map(
        lambda mode: {
            "dns": "manual",
            "dns_mode": mode,
            "dns_servers": ("192.168.2.10", "2001:db8::53"),
            "search_domains": ("corp.example",),
        }
    ),
)


@st.composite
def profiles(draw: st.DrawFn, extra: st.SearchStrategy[Any] = any_extra) -> Profile:
    password = draw(secrets)
    group = draw(st.sampled_from(["modp1024", "modp1536", "modp4096"]))
    more = draw(st.sampled_from([(), ("modp1536",)])) if group != "modp1536" else ("modp1536",)
    cut = draw(st.integers(1, len(ERA[1])))
    values: dict[str, Any] = {
        "description": draw(texts),
        "backup_hosts": tuple(draw(st.lists(st.sampled_from(["b.example", "192.0.2.9"])))),
        "group": draw(texts),
        "group_key": draw(secrets),
        "user": draw(texts),
        "password": password,
        "domain": draw(texts),
        "keychain": draw(st.booleans()),
        "save_password": password is not None or draw(st.booleans()),
        "nat_traversal": draw(st.sampled_from(KEYS["nat_traversal"].choices)),
        "phase1": tuple(f"{name}-{group}" for name in ERA[1][-cut:]),
        "phase2": ERA[2][: draw(st.sampled_from([2, len(ERA[2])]))],
        "legacy": ("aggressive-psk", "3des", "sha1", "md5", "modp1024", "natt-early", *more),
        "pfs": draw(st.sampled_from([None, "modp1024", "modp3072"])),
        "dpd_delay": draw(st.sampled_from([0, 30, 60])),
        "dpd_timeout": draw(st.sampled_from([90, 120, 86400])),
        "peer_timeout": draw(st.sampled_from([5, 90, 120, 480])),
        "remote_networks": draw(
            st.sampled_from([("0.0.0.0/0",), ("192.168.2.0/24", "10.0.0.0/8")])
        ),
        "use_two_phase2": draw(st.booleans()),
        "allow_local_lan": draw(st.booleans()),
        "mtu": draw(st.none() | st.integers(576, 9000)),
        **draw(name_services),
        "keepalive_interval": draw(st.integers(0, 3600)),
        "locked": draw(st.sampled_from([(), ("host",), ("group_key", "mtu")])),
        "extra": draw(extra),
    }
    return Profile(name="n", host="192.0.2.1", **values)

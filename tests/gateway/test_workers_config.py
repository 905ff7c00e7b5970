"""What a configuration may say of several workers, and what it is told."""

from __future__ import annotations

import pytest

from culvert.driver.engine import Choice
from culvert.gateway.config import load, problems
from culvert.gateway.kernel_choice import engine_for
from culvert.gateway.reading import keys
from culvert.gateway.served import served
from culvert.gateway.settings import endpoint_limits, general_settings
from culvert.gateway.worker_checking import MOST_ADDRESSES
from culvert.inet.lane import MOST_WORKERS, Share

FILE = """\
[gateway]
workers = 2
%s
[[pool]]
name = "clients"
addresses = ["%s"]
[[group]]
name = "ciscovpn"
key = "c!sc0-is-long-enough-here"
legacy = ["aggressive-psk"]
%s
"""
SITE = """\
[[site]]
name = "branch"
key = "c!sc0-is-long-enough-there"
peer = "192.0.2.7"
local_networks = ["10.1.0.0/16"]
remote_networks = ["10.2.0.0/16"]
"""
ADDRESSES = ", ".join(f'"192.0.2.{n}"' for n in range(1, 2 + MOST_ADDRESSES))


def written(gateway: str = "", pool: str = "40.1.1.0/24", more: str = "") -> str:
    return FILE % (gateway, pool, more)


def test_as_many_as_the_constant_says() -> None:
    key = keys()["gateway"]["workers"]
    assert (key.low, key.high, key.default) == (1, MOST_WORKERS, "1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (written(more=SITE), "workers = 2 and 1 [[site]]: where we call a site"),
        (written("ipsec_over_tcp = true"), "workers = 2 and ipsec_over_tcp: its streams"),
        (written(more="ipsec_over_udp = true"), "workers = 2 and ipsec_over_udp: its port"),
        (
            written('nat_traversal = "off"'),
            'workers = 2 and nat_traversal = "off": plain ESP has no',
        ),
        (
            written(more='nat_traversal = "off"'),
            "so its clients could not connect; set workers = 1",
        ),
        (written(f"listen = [{ADDRESSES}]"), "too many sockets"),
        (written('tun = "culvert-office"'), "each worker has its interface; shorten it"),
        (written(pool="40.1.1.1"), "pool clients has 1 addresses"),
    ],
)
def test_what_several_workers_cannot_do_is_refused_in_words(text: str, why: str) -> None:
    (found,) = problems(text, "gateway.toml")
    assert why in found.what
    assert found.line
    assert not problems(text.replace("workers = 2", "workers = 1"), "gateway.toml")


def test_limits_that_protect_the_machine_are_dealt_out() -> None:
    config = load(written("half_open_limit = 101\nunproved_rate = 100001"), "gateway.toml")
    one = endpoint_limits(config)
    assert (one.half_open, one.unproved_rate) == (101, 100001)
    share = type(config)(
        config.path, config.restart, config.live, config.group_keys, config.trust, Share(1, 2)
    )
    half = endpoint_limits(share)
    assert (half.half_open, half.unproved_rate) == (51, 50001)
    assert (one.unproved_burst, half.unproved_burst) == (512_000, 256_000)
    assert general_settings(share, bare_esp=False).share == Share(1, 2)


def test_each_worker_has_the_routes_to_its_part() -> None:
    restart = load(written(pool="40.1.1.1-40.1.1.5"), "gateway.toml").restart
    parts = [served(restart, worker) for worker in range(2)]
    # The longer route wins: .3 is the second one's.
    assert [part.pools for part in parts] == [("40.1.1.0/30",), ("40.1.1.3/32", "40.1.1.4/31")]
    assert parts[0].name != parts[1].name


def test_user_space_serves_where_the_kernels_ipsec_was_wanted() -> None:
    config = load(written(), "gateway.toml")
    user = Choice(None, "pure Python")
    chosen = engine_for(config, Choice(None, "the kernel's own", ipsec=True, user=user))
    assert not chosen.ipsec
    assert "several workers cannot share the kernel's IPsec" in chosen.reason

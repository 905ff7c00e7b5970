"""Before a caller has proved its address and its key: few answers, small ones, none unasked."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.ike import vendor
from culvert.ike.exchanged import NONCE_RANGE
from culvert.ike.retransmit import REPEAT_AFTER
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.header import (
    BASE,
    IDENTITY_PROTECTION,
    INFORMATIONAL,
    NO_COOKIE,
    QUICK,
    TRANSACTION,
    Header,
)
from culvert.ike.wire.identity import FQDN, KEY_ID, USER_FQDN, Identity
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.notify import UNSUPPORTED_EXCHANGE_TYPE, Notify
from culvert.ike.wire.payload import NOTIFY, SA, VENDOR_ID, Part, one
from culvert.inet.address import Address
from simulation.cases import PHASE1
from simulation.plugin import examples
from simulation.target import STRANGER, Target, first_message
from simulation.world import GROUP, QUICK_PHASE1, Terms

ALLOWANCE = 200  # octets an answer may exceed the question by
HALF_OPEN = 40.0  # seconds after which no half-open attempt is left

FEATURES = (
    "xauth",
    "natt-rfc3947",
    "natt-03",
    "natt-02n",
    "natt-02",
    "dpd",
    "unity",
    "culvert",
)

EVERY_GROUP = tuple(
    f"aes256-{hash}-{group}"
    for hash in ("sha2_512", "md5")
    for group in ("modp768", "modp1024", "modp2048", "modp4096")
)
LONGEST_IDENTITY = ".".join(["gateway-with-a-long-name"] * 5 + ["xyz"])


@st.composite
def offers(draw: st.DrawFn) -> bytes:
    """First messages as small as they may be, and larger ones."""
    group = IkeSuite.named(draw(st.sampled_from(EVERY_GROUP))).group.token
    of_group = [name for name in PHASE1 if name.endswith(f"-{group}")]
    suites = draw(st.lists(st.sampled_from(of_group), min_size=1, max_size=4, unique=True))
    identities = st.one_of(
        st.builds(Identity, st.sampled_from((FQDN, USER_FQDN, KEY_ID)), st.binary(max_size=40)),
        st.just(Identity(KEY_ID, GROUP.encode())),
    )
    announced = draw(st.lists(st.sampled_from(FEATURES), unique=True))
    unknown = draw(st.lists(st.binary(max_size=40), max_size=3))
    return first_message(
        draw(st.binary(min_size=8, max_size=8).filter(any)),
        suites=tuple(suites),
        identity=draw(identities),
        nonce=draw(st.binary(min_size=NONCE_RANGE.start, max_size=NONCE_RANGE.stop - 1)),
        more=(
            *vendor.announcing(announced),
            *[Part(VENDOR_ID, octets) for octets in unknown],
        ),
    )


@pytest.mark.parametrize("identity", ["", LONGEST_IDENTITY])
def test_an_answer_is_at_most_200_octets_larger_than_the_question(identity: str) -> None:
    terms = Terms(phase1=EVERY_GROUP, identity=identity)

    @given(offers())
    @examples(200)
    def holds(octets: bytes) -> None:
        reaction = Target(terms).throw(octets)
        assert len(reaction.sent) <= 1
        for answer in reaction.sent:
            assert len(answer) <= len(octets) + ALLOWANCE

    holds()


def test_the_smallest_sound_question_of_all_is_answered_within_bounds() -> None:
    for suite in EVERY_GROUP:
        for announced in ((), ("natt-rfc3947",), FEATURES):
            octets = first_message(
                suites=(suite,),
                identity=Identity(KEY_ID, GROUP.encode()),
                nonce=bytes(NONCE_RANGE.start),
                more=vendor.announcing(announced),
            )
            reaction = Target(Terms(phase1=EVERY_GROUP, identity=LONGEST_IDENTITY)).throw(octets)
            for answer in reaction.sent:
                assert len(answer) <= len(octets) + ALLOWANCE


def test_a_real_client_is_answered_whatever_the_gateway_is_called() -> None:
    target = Target(Terms(identity=LONGEST_IDENTITY))
    client = target.world.client()
    client.connect()
    assert target.world.decided(client)
    assert client.up


@pytest.mark.parametrize("group", [GROUP, "no-such-group"])
def test_nothing_is_sent_again_on_our_own_timer(group: str) -> None:
    target = Target()
    question = first_message(identity=Identity(KEY_ID, group.encode()))
    assert len(target.throw(question).sent) == 1
    target.world.run(HALF_OPEN)
    assert len(target.gateway.sent) == 1
    assert target.world.left_over() == []


def repeated(target: Target, octets: bytes, *, times: int, every: float) -> list[bytes]:
    """What the gateway sends to one datagram that comes again and again."""
    sent: list[bytes] = []
    for _ in range(times):
        sent += target.throw(octets).sent
        target.world.run(every)
    return sent


def call_in_main_mode(exchange: int = IDENTITY_PROTECTION) -> bytes:
    head = Header(b"stranger", NO_COOKIE, SA, exchange, 0, 0)
    whole = first_message()
    return clear_message(head, clear_body(whole, parse_header(whole))[:1])


@pytest.mark.parametrize(
    "octets",
    [
        first_message(),
        first_message(suites=("aes256-sha2_512-modp2048",)),
        call_in_main_mode(),
    ],
    ids=["answered", "proposal refused", "mode refused"],
)
def test_identical_repeats_get_the_same_answer_and_only_now_and_then(octets: bytes) -> None:
    target = Target()
    seconds = 10.0
    sent = repeated(target, octets, times=1000, every=seconds / 1000)
    assert len(set(sent)) == 1
    assert 2 <= len(sent) <= 1 + seconds / REPEAT_AFTER
    assert target.sas <= 1


def test_a_call_in_another_mode_is_refused_in_words_and_in_few_octets() -> None:
    for exchange, name in ((IDENTITY_PROTECTION, "MM"), (BASE, "BASE")):
        target = Target()
        question = call_in_main_mode(exchange)
        reaction = target.throw(question)
        (answer,) = reaction.sent
        header = parse_header(answer)
        assert (header.exchange, header.cookie_i) == (INFORMATIONAL, b"stranger")
        told = one(clear_body(answer, header), NOTIFY)
        assert told is not None
        assert Notify.parse(told).kind == UNSUPPORTED_EXCHANGE_TYPE
        assert len(answer) < len(question)
        assert reaction.refused == {"mode": 1}
        assert reaction.opened == 0
        assert target.gateway.told("ike.mode-refused")[0].fields["mode"] == name


@pytest.mark.parametrize("exchange", [0, 3, INFORMATIONAL, TRANSACTION, QUICK, 33, 34, 255])
def test_what_is_no_call_is_not_answered(exchange: int) -> None:
    target = Target()
    reaction = target.throw(call_in_main_mode(exchange))
    assert reaction.sent == ()
    assert reaction.refused.total() == 1
    assert reaction.opened == 0


WIDTH = IkeSuite.named(QUICK_PHASE1).group.octets
PRIME = int(IkeSuite.named(QUICK_PHASE1).group.prime, 16)


@pytest.mark.parametrize(
    "public",
    [
        bytes(WIDTH),
        (1).to_bytes(WIDTH, "big"),
        (PRIME - 1).to_bytes(WIDTH, "big"),
        PRIME.to_bytes(WIDTH, "big"),
        b"\xff" * WIDTH,
        b"\x05" * (WIDTH - 1),
        b"\x05" * (WIDTH + 1),
        b"",
    ],
)
def test_a_public_value_that_is_none_is_not_answered(public: bytes) -> None:
    target = Target()
    reaction = target.throw(first_message(public=public))
    assert (reaction.sent, dict(reaction.refused), reaction.opened) == ((), {"key-exchange": 1}, 0)
    assert target.world.left_over() == []


@pytest.mark.parametrize("octets", [0, 7, 257, 1000])
def test_a_nonce_of_a_wrong_size_is_not_answered(octets: int) -> None:
    target = Target()
    reaction = target.throw(first_message(nonce=bytes(octets)))
    assert reaction.sent == ()
    assert reaction.refused.total() == 1
    assert reaction.opened == 0


# --- floods ------------------------------------------------------------------------------------


def calls(count: int, first: int = 0) -> list[bytes]:
    return [
        first_message(number.to_bytes(8, "big")) for number in range(first + 1, first + count + 1)
    ]


def test_one_port_one_address_and_all_together_have_limits() -> None:
    target = Target(Terms(half_open_limit=50, half_open_per_source=20))
    for octets in calls(30):
        target.throw(octets)
    assert target.sas == 5, "of one address and port"
    for port, octets in enumerate(calls(100, 1000)):
        target.throw(octets, (STRANGER[0], port + 1))
    assert target.sas == 20, "of one address"
    for host, octets in enumerate(calls(100, 2000)):
        for _ in range(2):  # from half of the limit on, a first call is not answered
            target.throw(octets, (f"192.0.2.{host}", 500))
    assert target.sas == 50, "of all"
    refused = target.gateway.core.refused_datagrams
    assert refused == {"half-open-limit": 25 + 85 + 70, "crowd": 95}
    limits = {event.fields["limit"] for event in target.gateway.told("ike.half-open-limit")}
    assert limits <= {5, 20, 50}
    assert limits
    target.world.run(HALF_OPEN)
    assert target.world.left_over() == []


def test_a_flood_from_one_address_keeps_nobody_else_out() -> None:
    target = Target()
    for port, octets in enumerate(calls(3000)):
        target.throw(octets, (STRANGER[0], port + 1))
    client = target.world.client(behind=target.world.nat)
    client.connect()
    assert target.world.decided(client)
    assert client.up
    assert target.world.passes_both_ways(client)


def test_a_flood_from_everywhere_does_not_disturb_who_is_in() -> None:
    target = Target()
    world = target.world
    client = world.client(behind=world.nat)
    client.connect()
    assert world.decided(client)
    for octets, source in from_everywhere(5000):
        target.throw(octets, source)
    assert target.sas == 1 + 500, "nobody is known, so only half of the room is given away"
    assert world.passes_both_ways(client, within=1.0)
    world.run(HALF_OPEN)
    assert target.sas == 1
    assert client.up


def test_memory_is_bounded_however_many_call() -> None:
    target = Target(Terms(half_open_limit=200))
    grown: list[int] = []
    for round_ in range(3):
        for octets, source in from_everywhere(3000, first=round_ * 3000):
            target.throw(octets, source)
        target.world.run(HALF_OPEN)
        end = target.gateway
        for what in (target.world.network.journal, end.events, end.sent, end.keys):
            what.clear()  # what the simulation itself keeps
        gc.collect()
        grown.append(len(gc.get_objects()))
    assert target.world.left_over() == []
    # The table of refused attempts fills once.
    assert grown[2] - grown[1] < 200


def from_everywhere(count: int, first: int = 0) -> list[tuple[bytes, Address]]:
    numbers = range(first, first + count)
    sources = [(f"100.{64 + n // 65536}.{n // 256 % 256}.{n % 256}", 500) for n in numbers]
    return list(zip(calls(count, first), sources, strict=True))

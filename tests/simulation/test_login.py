"""XAUTH between our two ends, with a judge that follows a script: kinds, rounds, texts, repeats."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from culvert.effects import Judge, Judged
from culvert.eventlog.event import LogEvent
from culvert.ike.question import OTP, RADIUS_CHAP, SKEY, Question
from culvert.secret import Secret
from simulation.ends import ClientEnd
from simulation.world import PASSWORD, USERS, Terms, World, profile

SEED = 1
ME = USERS[0]
RIGHT = Judged(0, accepted=True, user=ME)
WRONG = Judged(0, accepted=False, reason="auth-rejected", cause="wrong-password")
Word = Callable[[Judge], Judged]


class Script:
    """Says one word after the other; ``orders``: what it was asked."""

    def __init__(self, *words: Word) -> None:
        self._words = list(words)
        self.orders: list[Judge] = []

    def judge(self, order: Judge, *, now: float) -> tuple[Judged, LogEvent]:
        self.orders.append(order)
        word = self._words[min(len(self.orders), len(self._words)) - 1](order)
        fields = {"user": order.user, "group": order.group, "source": order.source}
        code = "auth.accepted" if word.accepted else "auth.wrong-password"
        return replace(word, ticket=order.ticket), LogEvent(code, fields)


def asks(question: Question) -> Word:
    return lambda _: Judged(0, accepted=False, ask=question)


def if_right(**wanted: str) -> Word:
    def word(order: Judge) -> Judged:
        answers = {"password": order.password, **order.answers}
        right = all(answers.get(key) == Secret(text) for key, text in wanted.items())
        return RIGHT if right else WRONG

    return word


def played(script: Script, **person: str) -> tuple[World, ClientEnd]:
    world = World(SEED)
    world.gateway.judge = script
    client = world.client(profile())
    client.knows = lambda _: {key: Secret(text) for key, text in person.items()}
    client.connect()
    assert world.decided(client)
    return world, client


@pytest.mark.cell("xauth-rounds", "ourselves")
def test_a_new_pin_is_asked_for_with_the_gateways_text_and_the_login_goes_on() -> None:
    script = Script(
        asks(Question(("next-pin",), "Enter your new PIN")),
        asks(Question(("next-pin",), "Enter it again")),
        asks(Question(("passcode",), "Wait for the token to change")),
        if_right(passcode="471100"),
    )
    world, client = played(script, **{"next-pin": "4711", "passcode": "471100"})
    assert client.up, client.reason
    assert [asked.message for asked in client.asked] == [
        "",
        "Enter your new PIN",
        "Enter it again",
        "Wait for the token to change",
    ]
    assert [order.user for order in script.orders] == [ME] * 4
    assert len({order.owner for order in script.orders}) == 1
    assert script.orders[1].answers == {"next-pin": Secret("4711")}
    assert world.passes_both_ways(client)


@pytest.mark.parametrize("kind", [OTP, SKEY])
def test_the_challenge_of_a_one_time_password_is_shown_and_answered(kind: int) -> None:
    dare = Question(("passcode",), "One-time password", kind, b"otp-md5 487 dog2")
    script = Script(asks(dare), if_right(passcode="ANNE AD HAY"))
    _, client = played(script, passcode="ANNE AD HAY")
    assert client.up, client.reason
    assert client.asked[-1].message == "One-time password [otp-md5 487 dog2]"


def test_a_challenge_of_radius_chap_is_answered_without_the_password_on_the_wire() -> None:
    challenge = bytes(range(16))

    def checked(order: Judge) -> Judged:
        identifier, digest = order.response[:1], order.response[1:]
        expected = hashlib.md5(identifier + PASSWORD.encode() + challenge).digest()
        return RIGHT if digest == expected and not order.password else WRONG

    dare = Question(kind=RADIUS_CHAP, challenge=challenge)
    _, client = played(Script(asks(dare), checked))
    assert client.up, client.reason


def test_a_kind_that_does_not_exist_and_a_chap_without_challenge_are_given_up() -> None:
    for question in (Question(kind=9), Question(kind=RADIUS_CHAP)):
        script = Script(asks(question), if_right())
        _, client = played(script)
        assert client.down
        assert client.reason == "auth-rejected"
        assert len(script.orders) == 1


def test_a_stored_password_answers_one_question_and_is_never_repeated() -> None:
    world = World(SEED)
    script = Script(asks(Question(message="Wrong, try again")), if_right(password=PASSWORD))
    world.gateway.judge = script
    kept = profile(user=ME, password=Secret("stored and wrong"), save_password=True)
    client = world.client(kept)
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    assert script.orders[0].password == Secret("stored and wrong")
    assert [(asked.wants, asked.repeated) for asked in client.asked] == [(("password",), True)]
    assert client.asked[0].message == "Wrong, try again"


def test_rounds_without_end_are_ended() -> None:
    script = Script(asks(Question(message="again")))
    _, client = played(script)
    assert client.reason == "auth-rejected"
    assert len(script.orders) == 10


def test_who_gives_up_in_a_later_round_is_gone_at_both_ends() -> None:
    script = Script(asks(Question(("next-pin",), "Enter your new PIN")))
    world, client = played(script)  # and has none
    assert client.down
    assert client.reason == "by-user"
    world.run(30.0)
    assert world.left_over() == []


WITHOUT, WITH = ("psk",), ("xauth-psk",)


@pytest.mark.requirement("S1-75")
@pytest.mark.parametrize("gateway", [WITHOUT, WITH])
@pytest.mark.parametrize("setting", ["psk", "xauth-psk", "group-key"])
def test_a_login_is_off_always_or_when_requested(setting: str, gateway: tuple[str, ...]) -> None:
    world = World(SEED, Terms(authentication=gateway))
    with world.shown_if_wrong():
        client = world.client(profile(authentication=setting))
        client.connect()
        assert world.decided(client)
        fits = setting == "group-key" or (setting,) == gateway
        assert client.up == fits, client.reason
        if fits:
            assert bool(client.told("xauth.asked")) == (gateway == WITH)
            assert bool(client.asked) == (gateway == WITH)
        else:
            assert client.reason in ("proposal-refused", "no-answer")
            assert not client.told("xauth.asked")

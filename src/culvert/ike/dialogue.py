"""Transactions of one IKE SA: XAUTH, then Mode Config (mode-cfg-05, xauth-06), both ends.

gateway                                   client
REQUEST user, password          ->
                                <-        REPLY …           (as often as the gateway asks)
SET status                      ->
                                <-        ACK
                                <-        REQUEST address, …
REPLY address, …                ->
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from culvert.errors import MisuseError, UnexpectedMessage
from culvert.ike import xauth
from culvert.ike.outputs import (
    AskConfiguration,
    AskPerson,
    CheckPerson,
    Configuration,
    Configured,
    LoggedIn,
    PersonAnswer,
    Verdict,
)
from culvert.ike.owner import Owner, Phase
from culvert.ike.question import FIRST, Question
from culvert.ike.script import TRANSACTION
from culvert.ike.wire import config as cfg
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.config import ConfigMessage
from culvert.ike.wire.firewall import Firewall
from culvert.ike.wire.header import TRANSACTION as TRANSACTION_EXCHANGE
from culvert.ike.wire.header import Header
from culvert.ike.wire.payload import ATTRIBUTES, one
from culvert.tables.numbers import CONFIG_ATTRIBUTES, attribute_name
from culvert.tables.quirks import quirks_of

MOST_ROUNDS = 10
"""Questions to one person: a new PIN with its repetition and a challenge, twice over."""
GOODBYE_PATIENCE = 5.0  # for the ACK of a refusal, which changes nothing any more

OURS = "culvert"
"""A feature (tables/vendor_ids.toml) of gateways that end, before they look at their limits, what
had the address that somebody who begins anew asks for. What others make of it is not known."""

# What a client asks for; the order is vpnc's.
WANTED = (
    cfg.INTERNAL_IP4_ADDRESS,
    cfg.INTERNAL_IP4_NETMASK,
    cfg.INTERNAL_IP4_DNS,
    cfg.INTERNAL_IP4_NBNS,
    cfg.UNITY_DEF_DOMAIN,
    cfg.UNITY_BANNER,
    cfg.UNITY_SAVE_PASSWD,
    cfg.UNITY_SPLIT_INCLUDE,
    cfg.UNITY_SPLITDNS_NAME,
    cfg.UNITY_LOCAL_LAN,
    cfg.UNITY_PFS,
    cfg.UNITY_NATT_PORT,
    cfg.UNITY_BACKUP_SERVERS,
)
PUSHED = (*WANTED, cfg.UNITY_FW_TYPE, cfg.APPLICATION_VERSION)
"""What a gateway hands out unasked, as far as it has it."""
LONGEST_TEXT = 255  # of a text from the peer that goes into logs


class _Dialogue:
    """What both ends share: reading and writing transaction messages."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._question = b""

    @property
    def undecided(self) -> bool:
        """Whether somebody is being asked whether this person may in."""
        return False

    def _read(self, octets: bytes, header: Header) -> ConfigMessage:
        sealed = self._owner.channel.read_sealed(octets, header)
        TRANSACTION.check(sealed.parts)
        self._owner.channel.check(sealed)
        part = one(sealed.parts, ATTRIBUTES)
        if part is None:
            raise UnexpectedMessage("a transaction without attributes")
        return ConfigMessage.parse(part)

    def _send(self, message_id: int, message: ConfigMessage) -> bytes:
        return self._owner.channel.send_sealed(TRANSACTION_EXCHANGE, message_id, (message.part(),))

    def _ask(
        self, message_id: int, message: ConfigMessage, patience: float, reason: str, now: float
    ) -> None:
        octets = self._send(message_id, message)
        self._owner.channel.expect_answer(
            message_id, octets, patience=patience, otherwise=reason, now=now
        )


class GatewayDialogue(_Dialogue):
    """The end that asks who is there, and hands out addresses."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._person_id = 0
        self._status_id = 0
        self._passed: bool | None = None
        self._user = ""
        self._checking = False
        self._asked_now = FIRST
        self._rounds = 0
        self._config: tuple[int, int] | None = None  # message id, identifier
        self._push_id = 0
        self.permitted: Configuration | None = None

    @property
    def undecided(self) -> bool:
        return self._checking

    def begin(self, now: float) -> None:
        if self._owner.phase is Phase.PERSON:
            self._owner.timers.set("xauth", now + self._owner.settings.timing.xauth_delay)
        elif self._owner.phase is Phase.CONFIG:
            self._push()

    def tick(self, kind: str, now: float) -> None:
        if kind == "xauth":
            self._person_id = self._owner.channel.new_id()
            self._ask_person(FIRST, now)

    def _ask_person(self, question: Question, now: float) -> None:
        self._asked_now = question
        self._rounds += 1
        self._owner.channel.log(
            "xauth.asked", wants=", ".join(question.wants), message=question.shown
        )
        patience = self._owner.settings.timing.person_patience
        self._ask(self._person_id, xauth.request(0, question), patience, "auth-silence", now)

    def receive(self, octets: bytes, header: Header, now: float) -> bool:
        message = self._read(octets, header)
        channel = self._owner.channel
        match message.kind:
            case cfg.REPLY if header.message_id == self._person_id and not self._checking:
                if not channel.answered(self._person_id):
                    raise UnexpectedMessage("an XAUTH reply to nothing asked")
                channel.answers.keep(octets, None, now=now)
                self._replied(message, now)
            case cfg.ACK if header.message_id == self._status_id and self._status_id:
                channel.answered(self._status_id)
                channel.end_exchange(self._status_id)
                channel.answers.keep(octets, None, now=now)
                self._told(now)
            case cfg.ACK if header.message_id == self._push_id and self._push_id:
                channel.answered(self._push_id)
                channel.end_exchange(self._push_id)
                channel.answers.keep(octets, None, now=now)
                self._push_id = 0
            case cfg.REQUEST:
                self._asked(message, octets, header, now)
            case cfg.ACK | cfg.REPLY | cfg.SET:
                raise UnexpectedMessage("a transaction that nothing asked for")
            case other:
                raise UnexpectedMessage(f"a transaction of type {other}")
        return True

    def step(self, given: Verdict | PersonAnswer | Configuration, now: float) -> None:
        match given:
            case Verdict():
                self._judged(given, now)
            case Configuration():
                self._configured(given, now)
            case PersonAnswer():
                raise MisuseError("a gateway asks nobody at its own end")

    def _replied(self, message: ConfigMessage, now: float) -> None:
        reply = xauth.read_reply(message, self._asked_now)
        if reply.refused:
            self._owner.channel.log("xauth.rejected", user="", reason="the client gave up")
            self._tell(False, now)
            return
        if "user" in self._asked_now.wants:
            self._user = reply.user  # a later round is about who was named in an earlier one
        self._checking = True
        self._owner.channel.log("xauth.answered", user=self._user)
        self._owner.channel.out.append(
            CheckPerson(self._user, reply.password, reply.answers, self._asked_now, reply.response)
        )

    def _judged(self, verdict: Verdict, now: float) -> None:
        if not self._checking:
            raise MisuseError("a verdict about nobody")
        self._checking = False
        if not verdict.accepted and verdict.ask is not None and self._rounds < MOST_ROUNDS:
            self._ask_person(verdict.ask, now)
            return
        if verdict.accepted:
            self._user = verdict.user or self._user
            self._owner.channel.log("xauth.accepted", user=self._user)
        else:
            self._owner.channel.log("xauth.rejected", user=self._user, reason=verdict.reason)
        self._tell(verdict.accepted, now)

    def _tell(self, passed: bool, now: float) -> None:
        self._passed = passed
        self._owner.channel.end_exchange(self._person_id)
        self._status_id = self._owner.channel.new_id()
        patience = self._owner.settings.timing.answer_patience if passed else GOODBYE_PATIENCE
        reason = "lost-peer" if passed else "auth-rejected"
        self._ask(self._status_id, xauth.status(0, passed), patience, reason, now)

    def _told(self, now: float) -> None:
        """The client knows; an ACK's content means nothing (vpnc, Android, strongSwan differ)."""
        self._status_id = 0
        if not self._passed:
            self._owner.end("auth-rejected", now=now)
            return
        self._owner.phase = Phase.CONFIG
        self._owner.channel.out.append(LoggedIn(self._user))
        self._push()

    def _push(self) -> None:
        """Hand out the configuration unasked, where the group is told to (mode-cfg-05 §2.2)."""
        if self._owner.settings.push and not self._push_id:
            self._push_id = self._owner.channel.new_id()
            self._owner.channel.out.append(AskConfiguration(PUSHED, ()))

    def _asked(self, message: ConfigMessage, octets: bytes, header: Header, now: float) -> None:
        if self._config is not None:
            raise UnexpectedMessage("asks for a configuration while one is being made")
        self._owner.channel.begin_exchange(header)
        if self._passed and self._status_id:
            # Only who got the status goes on to ask: its lost ACK is not needed.
            self._owner.channel.answered(self._status_id)
            self._told(now)
        if self._owner.phase not in (Phase.CONFIG, Phase.UP):
            raise UnexpectedMessage("asks for a configuration before logging in")
        self._config = (header.message_id, message.identifier)
        self._question = octets
        self._owner.channel.answers.keep(octets, None, now=now)
        names = tuple([attribute_name(a.kind) for a in message.attributes])
        self._owner.channel.log("config.requested", names=names)
        application = _text(message.value(cfg.APPLICATION_VERSION))
        if application:
            self._owner.channel.log("config.application", value=application)
            self._owner.quirks = quirks_of(application)
        self._owner.channel.out.append(
            AskConfiguration(
                tuple([a.kind for a in message.attributes]),
                message.attributes,
                application,
                _text(message.value(cfg.UNITY_DDNS_HOSTNAME)),
                _firewall_of(message),
            )
        )

    def _configured(self, given: Configuration, now: float) -> None:
        if self._config is None and not self._push_id:
            raise MisuseError("a configuration nobody asked for")
        if given.refused:
            self._config = None
            self._owner.channel.log("config.refused", reason=given.refused)
            return
        self.permitted = given
        if self._config is not None:
            message_id, identifier = self._config
            self._config = None
            octets = self._send(message_id, ConfigMessage(cfg.REPLY, identifier, given.attributes))
            self._owner.channel.answers.amend(self._question, octets)
            self._owner.channel.end_exchange(message_id)
        else:
            pushed = ConfigMessage(cfg.SET, 0, given.attributes)
            patience = self._owner.settings.timing.answer_patience
            self._ask(self._push_id, pushed, patience, "no-answer", now)
        self._owner.channel.log(
            "config.sent",
            names=tuple([attribute_name(a.kind) for a in given.attributes]),
            address=", ".join(str(each.network) for each in given.peer_may_use),
        )
        self._owner.phase = Phase.UP


class ClientDialogue(_Dialogue):
    """The end that says who it is, and asks for an address."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._asked_for: tuple[int, ConfigMessage] | None = None
        self._rounds = 0
        self._user = ""
        self._config_id = 0
        self.permitted: Configuration | None = None

    def begin(self, now: float) -> None:
        if self._owner.phase is Phase.CONFIG:
            self._request(now)

    def tick(self, kind: str, now: float) -> None:
        if kind == "person":
            self._owner.end("auth-silence", now=now)

    def receive(self, octets: bytes, header: Header, now: float) -> bool:
        message = self._read(octets, header)
        match message.kind:
            case cfg.REQUEST if message.about_person:
                self._question_of_person(message, octets, header, now)
            case cfg.SET if message.about_person:
                self._status(message, octets, header, now)
            case cfg.REPLY if header.message_id == self._config_id and self._config_id:
                self._owner.channel.answered(self._config_id)
                self._owner.channel.end_exchange(self._config_id)
                self._owner.channel.answers.keep(octets, None, now=now)
                self._config_id = 0
                self._configuration(message)
            case cfg.SET:
                self._pushed(message, octets, header, now)
            case _:
                raise UnexpectedMessage("a transaction that nothing asked for")
        return True

    def _pushed(self, message: ConfigMessage, octets: bytes, header: Header, now: float) -> None:
        """A configuration that we did not ask for, or not yet heard the answer to."""
        if self._owner.phase not in (Phase.PERSON, Phase.CONFIG, Phase.UP):
            raise UnexpectedMessage("hands out a configuration before phase 1 is over")
        self._owner.channel.begin_exchange(header)
        answer = self._send(header.message_id, xauth.acknowledge(message))
        self._owner.channel.answers.keep(octets, answer, now=now)
        self._owner.channel.end_exchange(header.message_id)
        if self._owner.phase is not Phase.CONFIG:
            self._tell(message)  # NetScreen sends extras within XAUTH; others repeat themselves
            return
        if self._config_id:
            self._owner.channel.answered(self._config_id)
            self._owner.channel.end_exchange(self._config_id)
            self._config_id = 0
        self._configuration(message)

    def step(self, given: Verdict | PersonAnswer | Configuration, now: float) -> None:
        if not isinstance(given, PersonAnswer):
            raise MisuseError(f"{type(given).__name__} at the client's end")
        if self._asked_for is None:
            return
        message_id, message = self._asked_for
        self._asked_for = None
        self._owner.timers.stop("person")
        octets = self._send(
            message_id, xauth.reply(message, given.values, self._owner.rng.octets(1))
        )
        self._owner.channel.answers.amend(self._question, octets)
        user = given.values.get("user") if given.values else None
        self._user = user.reveal() if user else self._user
        self._owner.channel.log("xauth.answered", user=self._user)

    def _question_of_person(
        self, message: ConfigMessage, octets: bytes, header: Header, now: float
    ) -> None:
        if self._owner.phase not in (Phase.PERSON, Phase.CONFIG, Phase.UP):
            raise UnexpectedMessage("asks for a login before phase 1 is over")
        question = xauth.question_of(message)
        wanted, shown = question.wants, question.shown
        self._question = octets
        self._owner.channel.answers.keep(octets, None, now=now)
        self._asked_for = (header.message_id, message)
        self._owner.channel.log("xauth.asked", wants=", ".join(wanted), message=shown)
        if not xauth.kind_supported(message):
            self._owner.channel.log("xauth.rejected", user="", reason="not a kind answered here")
            self.step(PersonAnswer(None), now)
            return
        self._owner.timers.set("person", now + self._owner.settings.timing.person_patience)
        self._owner.channel.out.append(AskPerson(wanted, shown, repeated=self._rounds > 0))
        self._rounds += 1

    def _status(self, message: ConfigMessage, octets: bytes, header: Header, now: float) -> None:
        passed = xauth.passed(message)
        if passed is None:
            raise UnexpectedMessage("an XAUTH message without status")
        self._owner.channel.begin_exchange(header)
        answer = self._send(header.message_id, xauth.acknowledge(message))
        self._owner.channel.answers.keep(octets, answer, now=now)
        self._owner.channel.end_exchange(header.message_id)
        if not passed:
            self._owner.channel.log("xauth.rejected", user=self._user, reason="the gateway said no")
            self._owner.end("auth-rejected", now=now, by_peer=True)
            return
        self._owner.channel.log("xauth.accepted", user=self._user)
        self._owner.channel.out.append(LoggedIn(self._user))
        if self._owner.phase is Phase.PERSON:
            self._owner.phase = Phase.CONFIG
            self._request(now)

    def _wants(self, kind: int) -> bool:
        """A port for ESP in UDP only if it would be used: who asks for one gets its ESP there."""
        owner = self._owner
        if kind >= cfg.UNITY_BANNER and not owner.settings.unity:
            return False
        return kind != cfg.UNITY_NATT_PORT or owner.traverses or owner.settings.over_udp

    def _request(self, now: float) -> None:
        settings = self._owner.settings
        if not settings.provisioned:
            self._owner.phase = Phase.UP
            self._owner.channel.out.append(Configured(()))
            return
        attributes = [Attribute.octets(kind, b"") for kind in WANTED if self._wants(kind)]
        if settings.address and (not settings.first_contact or OURS in self._owner.features):
            kept = ip_address(settings.address).packed
            attributes[0] = Attribute.octets(cfg.INTERNAL_IP4_ADDRESS, kept)
        attributes.append(Attribute.octets(cfg.APPLICATION_VERSION, settings.application.encode()))
        if settings.host_name:
            attributes.append(
                Attribute.octets(cfg.UNITY_DDNS_HOSTNAME, settings.host_name.encode())
            )
        if settings.firewall is not None:
            self._owner.channel.log("config.firewall-claimed", firewall=str(settings.firewall))
            attributes.append(Attribute.octets(cfg.UNITY_FW_TYPE, settings.firewall.value()))
        self._config_id = self._owner.channel.new_id()
        request = ConfigMessage(cfg.REQUEST, 0, tuple(attributes))
        self._owner.channel.log(
            "config.requested", names=tuple([attribute_name(a.kind) for a in attributes])
        )
        octets = self._send(self._config_id, request)
        self._owner.wait_for_answer(self._config_id, octets, "no-answer", now)

    def _tell(self, message: ConfigMessage) -> None:
        for attribute in message.attributes:
            self._owner.channel.log(
                "config.attribute",
                name=attribute_name(attribute.kind),
                value=readable(attribute),
            )

    def _configuration(self, message: ConfigMessage) -> None:
        self._tell(message)
        self._owner.channel.log("config.received", count=len(message.attributes))
        self._owner.phase = Phase.UP
        self._owner.channel.out.append(Configured(message.attributes))


def _firewall_of(message: ConfigMessage) -> Firewall | None:
    said = message.value(cfg.UNITY_FW_TYPE)
    return Firewall.parse(said.value) if said else None


def readable(attribute: Attribute) -> str:
    """A configuration value for people; secrets are not shown, unknown forms are hexadecimal."""
    row = CONFIG_ATTRIBUTES.get(attribute.kind)
    match row.form if row else "octets":
        case "address" if len(attribute.value) == 4:
            return str(ip_address(attribute.value))
        case "text":
            return _text(attribute)
        case "number":
            return str(attribute.number)
        case "networks":
            return ", ".join(str(ip_address(entry)) for entry in network_addresses(attribute))
        case "secret":
            return "…"
        case _:
            return attribute.value.hex()


def network_addresses(attribute: Attribute) -> Iterable[bytes]:
    """The addresses of a Unity list, 14 octets an entry (the last may be cut to 8)."""
    for at in range(0, len(attribute.value) - 7, 14):
        yield attribute.value[at : at + 4]


def _text(attribute: Attribute | None) -> str:
    if attribute is None:
        return ""
    return attribute.value[:LONGEST_TEXT].decode("utf-8", "replace")

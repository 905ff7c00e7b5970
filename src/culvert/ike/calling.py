"""Phase 1 when we call, in either mode: what we announce and ask for, and the way to the NAT-T
port."""

from __future__ import annotations

from culvert.errors import MisuseError
from culvert.ike import natt, vendor
from culvert.ike.identified import resolved, same, with_kind
from culvert.ike.outputs import CertificateVerdict, KnownGroup
from culvert.ike.owner import Owner
from culvert.ike.phase1 import Phase1
from culvert.ike.settings import Settings
from culvert.ike.wire.certificate import request_parts
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.message import message_octets
from culvert.ike.wire.notify import INITIAL_CONTACT, Notify
from culvert.ike.wire.payload import GENERIC_HEADER, Chain
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.inet.address import Path
from culvert.rng import Random
from culvert.tables.algorithms import Authentication

ANY_AUTHORITY = b""

PADDED = 1200
"""Octets of a first message whose answer brings certificates: a gateway answers an address that
nobody has proved in proportion only. So long a datagram passes every path whole (as QUIC's do)."""


class Calling(Phase1):
    """``natt_port`` is our local port for encapsulated traffic."""

    def __init__(self, owner: Owner, settings: Settings, rng: Random, natt_port: int) -> None:
        super().__init__(owner, settings)
        self._rng = rng
        self._natt_port = natt_port

    def begin(self, now: float) -> None:
        """Send message 1."""
        raise NotImplementedError

    def _tell_offer(self, count: int) -> None:
        """Some devices fall silent when they are offered more than one proposal."""
        if count > 1:
            self._owner.channel.log("ike.several-offered", phase=1, count=count)

    def take_unproved(self) -> bytes:
        """The cookies of an answer that did not prove its sender, for telling who sent it."""
        return b""

    def grouped(self, known: KnownGroup, now: float) -> None:
        raise MisuseError("who calls knows its group")

    def half_open_over(self, now: float) -> None:
        raise MisuseError("who calls is never half open")

    def _announced(self) -> Chain:
        versions = [version.feature for version in self.settings.natt]
        cuts = ("fragmentation",) if self.settings.fragmentation else ()
        unity = ("unity",) if self.settings.unity else ()
        shows = self.settings.shows
        return vendor.announcing(("xauth", *versions, "dpd", *unity, *cuts, "culvert", *shows))

    def _requests(self, way: Authentication) -> Chain:
        """We ask for a certificate that one of our authorities has issued."""
        if way.proof_r != "signature":
            return ()
        return request_parts(self.settings.authorities or (ANY_AUTHORITY,))

    def _padded(self, parts: Chain, way: Authentication) -> Chain:
        """Message 1 of aggressive mode, with a vendor id that everybody passes over."""
        missing = PADDED - message_octets(parts) - GENERIC_HEADER
        if way.proof_r != "signature" or missing <= 0:
            return parts
        return (*parts, vendor.padding(missing))

    def _identified(
        self, identity: Identity, verdict: CertificateVerdict, path: Path
    ) -> CertificateVerdict:
        """The verdict on a peer that proved itself with a key, if it is somebody else."""
        settings = self.settings
        if not verdict.accepted or settings.expected is None:
            return verdict
        expected = resolved(settings.expected, path.remote[0])
        if same(expected, identity):
            return verdict
        claimed, wanted = with_kind(identity), with_kind(expected)
        if not settings.verify_identity:
            self._owner.channel.log("ike.identity-differs", claimed=claimed, expected=wanted)
            return verdict
        self._owner.channel.log("ike.identity-refused", claimed=claimed, expected=wanted)
        detail = f"The other end is {claimed}, expected was {wanted}."
        return CertificateVerdict(accepted=False, reason="id-refused", detail=detail)

    def _contact(self) -> Chain:
        """INITIAL-CONTACT, unless there is another IKE SA with this peer: it would end that."""
        if not self.settings.first_contact:
            return ()
        return (Notify(INITIAL_CONTACT, PROTO_ISAKMP, self._owner.channel.cookies).part(),)

    def _float(self) -> None:
        """RFC 3947 §4: from here on both ends use the NAT-T port."""
        path = self._owner.channel.path
        if self.version is not None and not self.version.floats:
            return
        if self.encapsulated and not path.encapsulated:
            self._owner.channel.path = Path(
                (path.local[0], self._natt_port),
                (path.remote[0], natt.NATT_PORT),
                encapsulated=True,
            )

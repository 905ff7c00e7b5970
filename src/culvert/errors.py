"""Every error raised on purpose, one tree.

The split *ours / the operator's / the peer's / the machine's* decides who is told. ``code`` is
stable and the same string everywhere: exit status, log event, key of the diagnosis.
"""

from __future__ import annotations


class CulvertError(Exception):
    """Root of all errors raised on purpose."""

    code = "internal"


class ConfigError(CulvertError):
    """The operator's file: says where, what, and what would be right."""

    code = "config.invalid"

    def __init__(self, what: str, *, path: str = "", line: int = 0) -> None:
        self.what = what
        self.path = path
        self.line = line
        where = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        super().__init__(f"{where}{what}")


class MisuseError(CulvertError):
    """Our own caller broke an interface: always a bug."""

    code = "internal.misuse"


class ProtocolError(CulvertError):
    """The peer broke a rule: never a bug, never hurts another session.

    ``notify`` is the IKE notify number that answers it, where one fits and an answer is allowed.
    """

    code = "peer.protocol"
    notify = 0


class WireError(ProtocolError):
    """Octets that do not parse."""

    code = "peer.malformed"
    notify = 16  # PAYLOAD-MALFORMED

    def __init__(self, what: str, *, offset: int) -> None:
        self.what = what
        self.offset = offset
        super().__init__(f"{what} (octet {offset})")


class UnexpectedMessage(ProtocolError):
    """Right octets, wrong moment."""

    code = "peer.unexpected"


class IntegrityError(ProtocolError):
    """A hash or check value that does not match: forged, damaged, or the keys differ."""

    code = "peer.not-authentic"
    notify = 23  # INVALID-HASH-INFORMATION


class NegotiationError(ProtocolError):
    """Nothing both sides accept. ``comparisons`` tells attribute by attribute."""

    code = "peer.no-proposal-chosen"
    notify = 14  # NO-PROPOSAL-CHOSEN

    def __init__(self, what: str, comparisons: tuple[object, ...] = ()) -> None:
        self.comparisons = comparisons
        super().__init__(what)


class PlatformError(CulvertError):
    """No privilege, port taken, no TUN: says which and what to do."""

    code = "platform.unavailable"

    def __init__(self, what: str, *, action: str = "") -> None:
        self.what = what
        self.action = action
        super().__init__(f"{what}. {action}" if action else what)

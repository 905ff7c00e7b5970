"""Question: what a gateway asks a person for in one XAUTH round, and in which way (xauth-06 §5)."""

from __future__ import annotations

from dataclasses import dataclass

GENERIC, RADIUS_CHAP, OTP, SKEY = 0, 1, 2, 3

KINDS = {GENERIC: "generic", RADIUS_CHAP: "RADIUS-CHAP", OTP: "one-time password", SKEY: "S/KEY"}


@dataclass(frozen=True, slots=True)
class Question:
    """``wants`` by our names (user, password, passcode, next-pin, answer, domain). ``challenge``:
    what the answer depends on; of RADIUS-CHAP octets, of the others a text to show."""

    wants: tuple[str, ...] = ("user", "password")
    message: str = ""
    kind: int = GENERIC
    challenge: bytes = b""

    @property
    def shown(self) -> str:
        """The text for the person, with the challenge of a one-time password."""
        if self.kind in (OTP, SKEY) and self.challenge:
            dared = self.challenge.rstrip(b"\x00").decode("utf-8", "replace")
            return f"{self.message} [{dared}]".strip()
        return self.message


FIRST = Question()

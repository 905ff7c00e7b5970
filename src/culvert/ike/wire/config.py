"""The attributes payload of a transaction exchange: Mode Config and XAUTH
(draft-ietf-ipsec-isakmp-mode-cfg-05 §3.2, draft-ietf-ipsec-isakmp-xauth-06 §5).

    type | reserved | identifier (2) | attributes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from culvert.ike.wire.attribute import Attribute, join, parse_attributes
from culvert.ike.wire.payload import ATTRIBUTES, Part

REQUEST = 1
REPLY = 2
SET = 3
ACK = 4

# Mode Config (mode-cfg-05 §3.3)
INTERNAL_IP4_ADDRESS = 1
INTERNAL_IP4_NETMASK = 2
INTERNAL_IP4_DNS = 3
INTERNAL_IP4_NBNS = 4
INTERNAL_ADDRESS_EXPIRY = 5
APPLICATION_VERSION = 7
SUPPORTED_ATTRIBUTES = 14

# XAUTH (xauth-06 §5)
XAUTH_TYPE = 16520
XAUTH_USER_NAME = 16521
XAUTH_USER_PASSWORD = 16522
XAUTH_PASSCODE = 16523
XAUTH_MESSAGE = 16524
XAUTH_CHALLENGE = 16525
XAUTH_DOMAIN = 16526
XAUTH_STATUS = 16527
XAUTH_NEXT_PIN = 16528
XAUTH_ANSWER = 16529

# Cisco Unity
UNITY_BANNER = 28672
UNITY_SAVE_PASSWD = 28673
UNITY_DEF_DOMAIN = 28674
UNITY_SPLITDNS_NAME = 28675
UNITY_SPLIT_INCLUDE = 28676
UNITY_NATT_PORT = 28677
UNITY_LOCAL_LAN = 28678
UNITY_PFS = 28679
UNITY_FW_TYPE = 28680
UNITY_BACKUP_SERVERS = 28681
UNITY_DDNS_HOSTNAME = 28682


@dataclass(frozen=True, slots=True)
class ConfigMessage:
    kind: int
    identifier: int
    attributes: tuple[Attribute, ...]

    @classmethod
    def parse(cls, part: Part) -> Self:
        cursor = part.cursor()
        kind = cursor.u8("configuration message type")
        cursor.u8("reserved octet")
        identifier = cursor.u16("identifier")
        # libreswan counts what fills its answers up to four octets into the payload.
        return cls(kind, identifier, parse_attributes(cursor, padded=True))

    def part(self) -> Part:
        head = bytes((self.kind, 0)) + self.identifier.to_bytes(2, "big")
        return Part(ATTRIBUTES, head + join(self.attributes))

    def value(self, kind: int) -> Attribute | None:
        for attribute in self.attributes:
            if attribute.kind == kind:
                return attribute
        return None

    @property
    def about_person(self) -> bool:
        """Whether this is XAUTH rather than Mode Config."""
        return any(XAUTH_TYPE <= a.kind <= XAUTH_ANSWER for a in self.attributes)

"""Takes secrets out of lines before anything of them is kept."""

from __future__ import annotations

import re

HIDDEN = "***"

HINT = re.compile(
    r"pass|psk|secret|shared|webvpn|cookie|token|key|pin\b|authorization|credential", re.IGNORECASE
)
"""A line without any of these holds no secret that could be told apart."""

NAMES = (
    r"(?:(?:pre-?shared|group|ipsec|xauth|user|radius|enc_|private|session)?[-_ ]{0,2}"
    r"(?:key|password|passwd|passcode|psk|secret|passphrase)|tokencode|otp)"
)
VALUE = r"(?:\"[^\"]{1,300}\"|'[^']{1,300}'|[^\s,;\"')\]}]{1,300})"
FORMS = (
    # name = value, name: value; what is only a kind of key (`key: RSA`) is told by its length
    re.compile(
        rf"(?P<keep>(?<![\w-]){NAMES}[ \t]{{0,4}}(?:=|:=|:(?!:))[ \t]{{0,4}})(?P<secret>{VALUE})",
        re.IGNORECASE,
    ),
    # the lines of secrets files and vpnc configurations
    re.compile(
        r"(?P<keep>(?:IPSec secret|Xauth password|IPSec obfuscated secret|Xauth obfuscated password"
        r"|:\s?(?:PSK|XAUTH|EAP)|pre-shared-key|crypto isakmp key(?: 6)?)\s{1,4})"
        rf"(?P<secret>{VALUE})",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?P<keep>(?:webvpn(?:c|context)?|--cookie|COOKIE|DSID|SVPNCOOKIE|session[-_]?token|opaque)"
        r"[= ]'?)"
        r"(?P<secret>[^\s;,'\"<]{4,})",
    ),
    re.compile(
        r"(?P<keep>(?:Authorization|Cookie|Set-Cookie): ?\w{0,20}[ =])(?P<secret>\S.{0,500})",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?P<keep>(?:keymat|skeyid(?:_[dae])?|encryption key|shared secret)\W{0,6}"
        r"(?:=>[^:]{0,40}:|:|=)\s{0,4})(?P<secret>[0-9a-fA-F][0-9a-fA-F :]{15,})",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?P<keep>(?:obfuscated secret|enc_GroupPwd=|enc_UserPassword=)\s?)"
        r"(?P<secret>[0-9A-F]{16,})"
    ),
)


def masked(text: str) -> str:
    """``text`` with every password, key and session cookie replaced."""
    if not HINT.search(text):
        return text
    for form in FORMS:
        text = form.sub(_hide, text)
    return text


def _hide(found: re.Match[str]) -> str:
    value = found["secret"].strip("\"'")
    if value.lower() in HARMLESS or value.startswith(HIDDEN):
        return found.group()
    return f"{found['keep']}{HIDDEN}"


HARMLESS = frozenset({"yes", "no", "true", "false", "0", "1", "none", "n/a", "rsa", "dsa", "ecdsa"})

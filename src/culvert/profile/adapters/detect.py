"""Which format a file has, told from what stands in it; only ``.toml`` is believed unseen."""

from __future__ import annotations

import re
from dataclasses import replace

from culvert.errors import ConfigError
from culvert.profile.adapters import pcf, vpnc
from culvert.profile.adapters.draft import Adapted, Remark
from culvert.profile.mtu import warning
from culvert.profile.proposal import shown
from culvert.profile.toml import read
from culvert.tables.lines import key_lines

FORMATS = ("toml", "pcf", "vpnc")

_ENDINGS = {".toml": "toml", ".pcf": "pcf", ".conf": "vpnc"}
_MAIN = re.compile(r"^\s*\ufeff?\[main\]\s*$", re.IGNORECASE | re.MULTILINE)
_PCF_KEY = re.compile(r"^\s*!*(host|groupname|enc_grouppwd)[ \t]*=(?![ \t]*\")", re.I | re.M)
_VPNC_KEY = re.compile(
    rf"^[ \t]*({'|'.join(re.escape(name) for name in vpnc.KEYS)})(?=[ \t\r\n]|\Z)", re.I | re.M
)
_TOML_KEY = re.compile(r"^[ \t]*(host|group|legacy|user)[ \t]*=[ \t]*[\"'\[]", re.MULTILINE)


def detect(text: str, file_name: str = "") -> str:
    """The format of ``text``, one of `FORMATS`.

    Raises ConfigError when neither the text nor the file's name says which.
    """
    if file_name.lower().endswith(".toml") or _TOML_KEY.search(text):
        return "toml"
    if _MAIN.search(text) or _PCF_KEY.search(text):
        return "pcf"
    if _VPNC_KEY.search(text):
        return "vpnc"
    for ending, known in _ENDINGS.items():
        if file_name.lower().endswith(ending):
            return known
    raise ConfigError(
        "is no connection profile: neither our TOML, nor a Cisco .pcf, nor a vpnc configuration",
        path=file_name,
    )


def adapt_any(text: str, file_name: str, *, name: str = "") -> Adapted:
    """The profile in ``text``, called ``name`` or after its file.

    Raises ConfigError as the adapter of the format does.
    """
    adapted = _adapted(text, file_name, name or name_from(file_name))
    if said := warning(adapted.profile.mtu):
        line = key_lines(text).get(("mtu",), 0) if detect(text, file_name) == "toml" else 0
        return replace(adapted, warnings=(*adapted.warnings, Remark(line, "mtu", said)))
    return adapted


def _adapted(text: str, file_name: str, chosen: str) -> Adapted:
    match detect(text, file_name):
        case "pcf":
            return pcf.adapt(text, name=chosen, path=file_name)
        case "vpnc":
            return vpnc.adapt(text, name=chosen, path=file_name)
        case _:
            return Adapted(read(text, name=chosen, path=file_name), ())


def name_from(file_name: str) -> str:
    """What a profile is called that comes from this file.

    Raises ConfigError when nothing of the file's name can be used.
    """
    stem = re.split(r"[/\\]", file_name)[-1]
    for ending in _ENDINGS:
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
            break
    name = re.sub(r"[^\w .@+()-]+", "-", stem).strip(" -.@+()")[:64].strip()
    if not name:
        raise ConfigError(f"no name for a profile can be made of {shown(stem)}: give one")
    return name

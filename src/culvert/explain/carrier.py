"""Takes off what logs are wrapped in: syslog, journal, container, NetworkManager, quoted mail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from culvert.tables.loader import document

LONGEST_LINE = 8192
"""Signs of a line that are read; the rest of a longer one says nothing that any family prints."""

LIST = "explain/families.toml"
NEAR = re.compile(r"vpn|ipsec|ike(?!d?map)|isakmp|l2tp|connect", re.IGNORECASE)
"""Names of programs that may well speak for a VPN, whoever they are."""

DEEPEST = 4
"""Wrappers in wrappers that are taken off; nobody nests more."""

ANSI = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,16}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)?|.)")
QUOTE = re.compile(r"(?:> ?){1,9}(?=\S)|\*\*(?=\S)")
STAMP = (
    r"(?:[A-Z][a-z]{2} {1,2}\d{1,2}(?: \d{4})? \d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
)
SYSLOG = re.compile(
    rf"(?:<\d{{1,3}}>)?(?:1 )?(?P<at>{STAMP})(?: (?P<host>[\w.:-]{{1,64}}))??"
    r"(?: (?:\w{1,12}\.\w{1,12}))? (?P<process>[A-Za-z_][\w./@-]{0,63}?)"
    r"(?:\[\d{1,9}\])?(?: <[A-Z][a-z]{2,9}>)?: +(?P<text>.*)"
)
SYSLOG_5424 = re.compile(
    rf"<\d{{1,3}}>1 (?P<at>{STAMP}) (?P<host>\S{{1,255}}) (?P<process>[\w./-]{{1,48}}) \S{{1,128}} "
    r"\S{1,32} (?:-|\[[^\]]{0,999}\]) ?\ufeff?(?P<text>.*)"
)
CONTAINER = re.compile(r"(?P<process>[a-z][\w.-]{1,60}) +\|(?: (?P<text>.*)|$)")
"""A line of `docker compose logs`."""
POD = re.compile(r"\[pod/[^\]/ ]{1,253}/[^\] ]{1,253}\](?: (?P<text>.*)|$)")
"""`kubectl logs --prefix`."""
NANOSECONDS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d)"
STREAM = re.compile(
    rf"(?P<at>{STAMP}) std(?:out|err) [FP](?::[A-Z]{{1,9}})?(?: (?P<text>.*)|$)"  # on a node
    rf"|(?P<of>{NANOSECONDS})(?: (?P<line>.*)|$)"  # `docker logs -t`, podman, kubectl
)
"""What a container printed, behind the time: nobody else writes nine digits of a second."""
MANAGER = re.compile(
    r"<(?:info|warn|error|debug|trace)> {1,3}\[\d{1,12}\.\d{1,6}\] "
    r"(?:[\w-]{1,40}(?:\[[^\]]{1,200}\])?: )?(?P<text>.*)"
)
NETIFD = re.compile(r"[\w-]{1,32} \(\d{1,9}\): (?P<text>.*)")
REPEATED = re.compile(
    r"(?:last message repeated (\d{1,9}) times?|message repeated (\d{1,9}) times: \[)"
)

FOREIGN = re.compile(
    r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]{2,9}\] \d{1,9}#\d{1,9}: "  # nginx
    r"|\[[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d [\d:.]{8,15} \d{4}\] \[[\w:]{1,40}\] "  # Apache
    r"|\S{1,64} \S{1,64} \S{1,64} \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
)
"""How web servers begin their lines: what follows is about themselves."""

MANAGERS = frozenset({"NetworkManager", "netifd", "nm-openconnect-service", "nm-vpnc-service"})


@dataclass(slots=True)  # one for nearly every line; frozen would cost a tenth of all time
class Bare:
    """A line without its wrappers. ``stamp`` is the wrapper's, as it stands there.

    ``printed``: it comes from a container, line by line as a program printed it to a file or
    terminal; in all other wrappers each line is a message by itself.
    """

    text: str
    process: str = ""
    host: str = ""
    stamp: str = ""
    printed: bool = False


@cache
def is_foreign(process: str) -> bool:
    """Is it the name of a program that never speaks for a VPN? Those of the families aside."""
    return process not in document(LIST)["carriers"] and NEAR.search(process) is None


def unwrapped(line: str) -> Bare:
    """The message of a line, and who said it when, if a wrapper tells."""
    text = line if "\x1b" not in line else ANSI.sub("", line)
    bare = _printed(text)
    found = _wrapper(bare.text, "")
    if found is None:
        return bare
    process, host, stamp = bare.process, "", bare.stamp
    for _ in range(DEEPEST):
        groups = found.groupdict("")
        of = groups.get
        process = of("process") or process
        host = of("host") or host
        stamp = of("at") or stamp
        text = groups["text"]
        found = _wrapper(text, process)
        if found is None:
            break
    return Bare(text, process.rpartition("/")[2], host, stamp)


def uncontained(line: str) -> str:
    """A line as the program in a container printed it; any other line as it is."""
    return _printed(line).text


def _printed(text: str) -> Bare:
    """What a container's log adds is taken off, if it is of one."""
    bare = Bare(text)
    for _ in range(DEEPEST):
        found = _container(bare.text)
        if found is None:
            break
        of = found.groupdict("").get
        bare = Bare(
            of("text") or of("line") or "",
            of("process") or bare.process,
            stamp=of("at") or of("of") or bare.stamp,
            printed=True,
        )
    return bare


def _container(text: str) -> re.Match[str] | None:
    # Told by a sign or two, since nearly every line is none of them.
    if text[10:11] == "T" and text[4:5] == "-":
        return STREAM.match(text)
    if text[:5] == "[pod/":
        return POD.match(text)
    return CONTAINER.match(text) if " |" in text[:70] else None


def plain(line: str) -> str:
    """A line cut to what is read, without what mail and forums put in front."""
    text = line[:LONGEST_LINE].rstrip("\r\n\0 \t")
    if text[:1] in ">*" and (quote := QUOTE.match(text)):
        text = text[quote.end() :]
    if "\\" in text:
        text = text.replace("\\*", "*").replace("\\_", "_").replace("\\[", "[").replace("\\]", "]")
    return text.replace("\0", "").removeprefix("\ufeff")


def _wrapper(text: str, process: str) -> re.Match[str] | None:
    first = text[:1]
    if first == "<":
        return SYSLOG_5424.match(text) or SYSLOG.match(text) or MANAGER.match(text)
    # `Jan  2 …` and `2026-01-02T…` are told by one sign; nearly every other line stops here.
    dated = text[3:4] == " " or text[10:11] == "T"
    if dated and (found := SYSLOG.match(text)):
        return found
    return NETIFD.match(text) if process in MANAGERS else None

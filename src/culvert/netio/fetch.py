"""Fetcher: gets one small thing over http or https for the revocation of certificates.

The address of a certificate is somebody else's text, so what it may reach is bounded: public
addresses only unless listed, the address that was checked is the one connected to (a second look-up
could answer otherwise), every redirect is checked anew, and size and time end.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimeout
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, urljoin, urlsplit

from culvert.errors import CulvertError

MOST_OCTETS = 5_242_880
"""Of one answer: among the lists of the public authorities, only a few are larger than a MB."""

SECONDS = 5.0
"""For one thing, from the look-up of the name to the last octet: a peer waits for us meanwhile."""

REDIRECTS = 3

LONGEST_URL = 2048

ADDRESSES = 4
"""Addresses of one name that are tried."""

MOVED = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)

PORTS = {"http": 80, "https": 443}

NAT64 = IPv6Network("64:ff9b::/96")
"""An IPv4 address within such a one is reached there (RFC 6052)."""

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Sequence[str]]


class FetchFailed(CulvertError):
    """It could not be fetched, or may not be."""

    code = "certificate.fetch-failed"


@dataclass(frozen=True, slots=True)
class Targets:
    """What may be reached besides public addresses: host names and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, listed: Sequence[str]) -> Targets:
        """From the words of a configuration. Raises ValueError for a network with host bits."""
        networks: list[IPv4Network | IPv6Network] = []
        hosts: set[str] = set()
        for text in listed:
            if "/" in text or _as_address(text) is not None:
                networks.append(ip_network(text))
            else:
                hosts.add(text.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def permit(self, host: str, address: Address) -> bool:
        if host in self.hosts or any(address in network for network in self.networks):
            return True
        return _public(address)


def _public(address: Address) -> bool:
    """Whether it is everybody's, whatever IPv4 address is wrapped in it."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def look_up(host: str, port: int) -> list[str]:
    """The system resolver's addresses. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Fetcher:
    """Fetches within its bounds. Safe to be called from several threads; blocks."""

    def __init__(
        self,
        targets: Targets,
        *,
        lookup: Lookup = look_up,
        seconds: float = SECONDS,
        most_octets: int = MOST_OCTETS,
    ) -> None:
        self._targets = targets
        self._lookup = lookup
        self._seconds = seconds
        self._most = most_octets
        self._closed = False
        self._open: set[_Pinned] = set()
        # The resolver knows no time-out of ours; a name that hangs keeps one of these busy.
        self._names = ThreadPoolExecutor(4, thread_name_prefix="names")

    def close(self) -> None:
        """Whoever waits for an answer is told that there is none."""
        self._closed = True
        self._names.shutdown(wait=False, cancel_futures=True)
        for connection in tuple(self._open):
            connection.abort()

    def fetch(self, url: str, *, body: bytes = b"", kind: str = "") -> bytes:
        """GET ``url``, or with a ``body`` of media type ``kind`` POST it. Raises FetchFailed."""
        deadline = time.monotonic() + self._seconds
        for _ in range(REDIRECTS + 1):
            answer = self._once(url, body, kind, deadline)
            if isinstance(answer, bytes):
                return answer
            url = _joined(url, answer.where)
        raise FetchFailed(f"more than {REDIRECTS} redirects")

    def _once(self, url: str, body: bytes, kind: str, deadline: float) -> bytes | _Elsewhere:
        parts, host, port = _checked(url)
        addresses = self._addresses(host, port, self._left(deadline))
        problem = "no address"
        for address in addresses[:ADDRESSES]:
            left = self._left(deadline)
            connection = _Pinned(parts.scheme, host, port, str(address), left)
            # One clock over connecting, sending and reading: a server that answers an octet at a
            # time would win against any time-out of single reads.
            ended = threading.Timer(left, connection.abort)
            ended.daemon = True
            ended.start()
            self._open.add(connection)
            try:
                return self._exchange(connection, parts, body, kind)
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = _plain(error, connection.aborted, self._seconds)
            finally:
                ended.cancel()
                self._open.discard(connection)
                connection.close()
        raise FetchFailed(problem)

    def _exchange(
        self, connection: _Pinned, parts: SplitResult, body: bytes, kind: str
    ) -> bytes | _Elsewhere:
        path = parts.path or "/"
        headers = {"User-Agent": "culvert", "Accept-Encoding": "identity", "Connection": "close"}
        if body:
            headers["Content-Type"] = kind
        target = f"{path}?{parts.query}" if parts.query else path
        connection.request("POST" if body else "GET", target, body or None, headers)
        with connection.getresponse() as answer:
            where = answer.headers.get("Location")
            if answer.status in MOVED and where:
                return _Elsewhere(where)
            if answer.status != HTTPStatus.OK:
                raise FetchFailed(f"the server answers {answer.status} {answer.reason[:80]}")
            octets = answer.read(self._most + 1)
        if len(octets) > self._most:
            raise FetchFailed(f"the answer has more than {self._most} octets")
        if connection.aborted:
            raise FetchFailed(f"no answer within {self._seconds:g} seconds")
        return octets

    def _left(self, deadline: float) -> float:
        if self._closed:
            raise FetchFailed("it is no longer waited for")
        left = deadline - time.monotonic()
        if left <= 0:
            raise FetchFailed(f"no answer within {self._seconds:g} seconds")
        return left

    def _addresses(self, host: str, port: int, left: float) -> list[Address]:
        """Of those the name has, the ones that may be reached. Raises FetchFailed."""
        given = _as_address(host)
        if given is not None:
            found: list[Address] = [given]
        else:
            try:
                texts = self._names.submit(self._lookup, host, port).result(left)
            except (RuntimeError, CancelledError):
                raise FetchFailed("it is no longer waited for") from None  # closed meanwhile
            except LookupTimeout:
                raise FetchFailed(f"{host} was not resolved in {self._seconds:g} seconds") from None
            except (OSError, UnicodeError) as error:
                raise FetchFailed(f"{host} cannot be resolved ({error})") from None
            found = [one for text in texts if (one := _as_address(text)) is not None]
        permitted = [one for one in found if self._targets.permit(host, one)]
        if not permitted:
            shown = ", ".join(map(str, found[:ADDRESSES])) or "no address"
            raise FetchFailed(
                f"{host} is {shown}: not a public address, and not listed in fetch_targets"
            )
        return permitted


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    where: str


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was checked, whatever the name says by then."""

    def __init__(self, scheme: str, host: str, port: int, address: str, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self._scheme = scheme
        self._address = address
        self.aborted = False
        # Ours to shut down: the library forgets its own once it waits for the last octets.
        self._open: socket.socket | None = None

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        self._open = self.sock
        if self._scheme == "https":
            context = ssl.create_default_context()
            self.sock = self._open = context.wrap_socket(self.sock, server_hostname=self.host)
        if self.aborted:
            raise TimeoutError

    def abort(self) -> None:
        """From another thread: whatever waits on the socket ends now."""
        self.aborted = True
        if self._open is not None:
            with suppress(OSError):
                self._open.shutdown(socket.SHUT_RDWR)


def _joined(url: str, where: str) -> str:
    """Where a redirect leads. Raises FetchFailed."""
    try:
        return urljoin(url, where)
    except ValueError as error:
        raise FetchFailed(f"the redirect leads to no URL ({error})") from None


def _checked(url: str) -> tuple[SplitResult, str, int]:
    """Raises FetchFailed for what is not plainly http(s) to a host."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise FetchFailed("the address is not a URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchFailed(f"the address is not a URL ({error})") from None
    if parts.scheme not in PORTS:
        raise FetchFailed(f"{parts.scheme or 'no scheme'}: only http and https are used")
    host = (parts.hostname or "").rstrip(".")
    if not host or parts.username is not None or "%" in host:
        raise FetchFailed("the address names no plain host")
    return parts, host, port or PORTS[parts.scheme]


def _as_address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _plain(error: Exception, aborted: bool, seconds: float) -> str:
    if aborted or isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} seconds"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"the answer is not HTTP ({type(error).__name__})"

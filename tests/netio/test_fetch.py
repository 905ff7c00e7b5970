"""Fetching what certificates name: bounded in where, how much and how long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address

import pytest

from culvert.netio.fetch import Fetcher, FetchFailed, Targets
from netio.web import reply, server

LOOPBACK = Targets.of(["127.0.0.0/8"])


@contextmanager
def fetcher(
    targets: Targets = LOOPBACK,
    names: Mapping[str, Sequence[str]] | None = None,
    *,
    seconds: float = 5.0,
    most_octets: int = 1_000_000,
) -> Iterator[Fetcher]:
    known = names or {}

    def lookup(host: str, port: int) -> Sequence[str]:
        if host not in known:
            raise OSError(f"{host} is not known")
        return known[host]

    one = Fetcher(targets, lookup=lookup, seconds=seconds, most_octets=most_octets)
    try:
        yield one
    finally:
        one.close()


def refusal(
    url: str, targets: Targets = LOOPBACK, *, seconds: float = 5.0, most_octets: int = 1_000_000
) -> str:
    bounded = fetcher(targets, seconds=seconds, most_octets=most_octets)
    with bounded as one, pytest.raises(FetchFailed) as caught:
        one.fetch(url)
    return str(caught.value)


def test_what_is_there_is_fetched() -> None:
    with server(reply(b"a list")) as port, fetcher() as one:
        assert one.fetch(f"http://127.0.0.1:{port}/ca.crl?x=1") == b"a list"


def test_a_question_is_posted_with_its_kind() -> None:
    heard: list[tuple[str, str, bytes]] = []

    def answering(request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers["Content-Length"])
        kind = str(request.headers["Content-Type"])
        heard.append((request.command, kind, request.rfile.read(length)))
        reply(b"good")(request)

    with server(answering) as port, fetcher() as one:
        url = f"http://127.0.0.1:{port}/"
        assert one.fetch(url, body=b"who?", kind="application/ocsp-request") == b"good"
    assert heard == [("POST", "application/ocsp-request", b"who?")]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "169.254.169.254",
        "10.1.2.3",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
    ],
)
def test_inside_addresses_are_not_reached(host: str) -> None:
    assert "not a public address" in refusal(f"http://{host}/", Targets())


def test_public_addresses_are_permitted_without_being_listed() -> None:
    for text in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::808:808"):
        assert Targets().permit("example.org", ip_address(text))


def test_a_name_that_leads_inside_is_refused() -> None:
    for inside in ("127.0.0.1", "10.0.0.5", "169.254.169.254", "::1"):
        leads = fetcher(Targets(), {"crl.example.org": [inside]})
        with leads as one, pytest.raises(FetchFailed, match="not a public address"):
            one.fetch("http://crl.example.org/ca.crl")


def test_a_listed_name_may_lead_inside() -> None:
    with server(reply(b"ours")) as port:
        listed = Targets.of(["crl.corp.example"])
        with fetcher(listed, {"crl.corp.example": ["127.0.0.1"]}) as one:
            assert one.fetch(f"http://crl.corp.example:{port}/") == b"ours"
        other = fetcher(listed, {"other.example": ["127.0.0.1"]})
        with other as one, pytest.raises(FetchFailed, match="not listed"):
            one.fetch(f"http://other.example:{port}/")


def test_a_name_is_asked_once_so_that_it_cannot_change_its_mind() -> None:
    """DNS rebinding: the address that was checked is the one connected to."""
    asked: list[str] = []

    def lookup(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.9"]

    with server(reply(b"once")) as port:
        one = Fetcher(Targets.of(["127.0.0.1"]), lookup=lookup)
        assert one.fetch(f"http://rebinding.example:{port}/") == b"once"
        one.close()
    assert asked == ["rebinding.example"]


def test_the_host_is_named_though_its_address_is_used() -> None:
    hosts: list[str] = []

    def answering(request: BaseHTTPRequestHandler) -> None:
        hosts.append(str(request.headers["Host"]))
        reply(b"")(request)

    with server(answering) as port:
        with fetcher(names={"crl.example.org": ["127.0.0.1"]}) as one:
            one.fetch(f"http://crl.example.org:{port}/")
        assert hosts == [f"crl.example.org:{port}"]


def test_a_redirect_is_followed_after_it_was_checked() -> None:
    with server(reply(b"moved here")) as there:
        hop = reply(b"", 302, Location=f"http://127.0.0.1:{there}/new")
        with server(hop) as port, fetcher() as one:
            assert one.fetch(f"http://127.0.0.1:{port}/") == b"moved here"


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("http://169.254.169.254/latest", "not a public address"),
        ("http://[::1]/", "not a public address"),
        ("file:///etc/shadow", "only http and https"),
        ("gopher://127.0.0.1/", "only http and https"),
        ("http://[", "the redirect leads to no URL"),
    ],
)
def test_a_redirect_leads_nowhere_else(to: str, why: str) -> None:
    with server(reply(b"", 302, Location=to)) as port:
        assert why in refusal(f"http://127.0.0.1:{port}/")


def test_redirects_in_a_circle_end() -> None:
    with server(reply(b"", 302, Location="/again")) as port:
        assert "redirects" in refusal(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "url",
    [
        "ldap://ldap.example.org/cn=CA",
        "ftp://127.0.0.1/ca.crl",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "http:///ca.crl",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://[::1%25lo]/",
        "http://127.0.0.1/\r\nX: y",
        "http://" + "a" * 3000,
        "",
    ],
)
def test_only_plain_http_to_a_host_is_used(url: str) -> None:
    assert refusal(url)


def test_an_answer_that_is_too_large_is_dropped() -> None:
    with server(reply(bytes(2000))) as port:
        assert "more than 1000" in refusal(f"http://127.0.0.1:{port}/", most_octets=1000)


def test_an_answer_that_does_not_end_is_cut_off() -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(bytes(65536))
        except OSError:
            return

    with server(endless) as port:
        assert "more than 100000" in refusal(f"http://127.0.0.1:{port}/", most_octets=100_000)


def test_an_octet_at_a_time_does_not_outlast_the_clock() -> None:
    def slow(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        try:
            while True:
                request.wfile.write(b"x")
                request.wfile.flush()
                threading.Event().wait(0.02)
        except OSError:
            return

    with server(slow) as port:
        began = time.monotonic()
        assert "within 0.3 seconds" in refusal(f"http://127.0.0.1:{port}/", seconds=0.3)
        assert time.monotonic() - began < 2


def test_silence_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "within 0.2 seconds" in refusal(f"http://127.0.0.1:{port}/", seconds=0.2)


def test_a_name_that_is_not_resolved_in_time_is_given_up() -> None:
    released = threading.Event()

    def stuck(host: str, port: int) -> Sequence[str]:
        released.wait(10)
        return ["127.0.0.1"]

    one = Fetcher(LOOPBACK, lookup=stuck, seconds=0.2)
    try:
        with pytest.raises(FetchFailed, match=r"not resolved in 0\.2 seconds"):
            one.fetch("http://slow.example/")
    finally:
        released.set()
        one.close()


def test_who_waits_is_told_when_it_is_closed() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = Fetcher(LOOPBACK, seconds=10)

        def wait() -> None:
            with pytest.raises(FetchFailed) as caught:
                one.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/")
            said.append(str(caught.value))

        thread = threading.Thread(target=wait)
        thread.start()
        there, _ = silent.accept()
        with there:
            there.recv(10)  # it has asked
            began = time.monotonic()
            one.close()
            thread.join(5)
        assert said
        assert time.monotonic() - began < 2
        with pytest.raises(FetchFailed, match="no longer"):
            one.fetch("http://127.0.0.1/")


def test_what_the_server_says_is_told() -> None:
    with server(reply(b"gone", 404)) as port:
        assert "404" in refusal(f"http://127.0.0.1:{port}/")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "refused" in refusal(f"http://127.0.0.1:{port}/").lower()


def test_an_answer_that_is_not_http_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def noise() -> None:
            there, _ = listening.accept()
            with there:
                there.recv(1000)
                there.sendall(b"\x30\x03\x0a\x01\x06\r\n\r\n")

        thread = threading.Thread(target=noise)
        thread.start()
        assert "not HTTP" in refusal(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        thread.join()

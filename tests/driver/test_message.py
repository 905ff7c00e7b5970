"""Values between processes: what is written is read back; anything else is refused by its type."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.driver.message import LONGEST, MessageError, read, written
from culvert.effects import (
    CertificateJudged,
    InstallSa,
    Judge,
    JudgeCertificate,
    Judged,
    SaHalf,
    Sign,
    Signed,
)
from culvert.errors import CulvertError
from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import GroupKey, Keyed
from culvert.ike.question import Question
from culvert.ike.wire.identity import Identity
from culvert.secret import Secret

texts = st.text(max_size=20)
octets = st.binary(max_size=40)
secrets = texts.map(Secret)
numbers = st.integers(0, 2**32)
values = st.one_of(
    st.builds(
        Judge,
        numbers,
        texts,
        texts,
        secrets,
        texts,
        st.dictionaries(texts, secrets, max_size=3),
        st.builds(Question),
        octets,
        numbers,
    ),
    st.builds(Judged, numbers, accepted=st.booleans(), user=texts, ask=st.none()),
    st.builds(Sign, numbers, texts, octets, texts),
    st.builds(Signed, numbers, octets, texts),
    st.builds(GroupKey, octets, texts),
    st.builds(Keyed, octets, octets),
    st.builds(
        InstallSa,
        numbers,
        numbers,
        texts,
        texts,
        st.builds(SaHalf, numbers, octets, octets, octets),
        st.builds(SaHalf, numbers, octets, octets, octets),
        st.lists(texts, max_size=2).map(tuple),
        st.lists(texts, max_size=2).map(tuple),
        st.tuples(texts, numbers),
        numbers,
        st.booleans(),
    ),
    st.builds(
        JudgeCertificate,
        numbers,
        st.lists(octets, max_size=3).map(tuple),
        st.builds(Identity, st.integers(0, 255), octets),
        octets,
        octets,
        texts,
        texts,
    ),
    st.builds(CertificateJudged, numbers, accepted=st.booleans(), groups=st.just(("a", "b"))),
    st.builds(
        LogEvent,
        st.just("ike.over"),
        st.dictionaries(texts, st.one_of(texts, numbers, st.booleans(), st.just(("a", "b")))),
    ),
)


@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    assert read(written({"order": value, "number": 7})) == {"order": value, "number": 7}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(texts, st.sampled_from(["~", "~x", "~s"])), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(st.one_of(JSON.map(json.dumps), st.text(max_size=200)))
def test_anything_else_is_a_value_or_a_refusal(text: str) -> None:
    try:
        read(text)
    except MessageError:
        return


@given(values, st.data())
def test_a_field_of_another_type_is_refused(value: object, data: st.DataObject) -> None:
    told = json.loads(written(value))
    name = data.draw(st.sampled_from(sorted(set(told) - {"~"})))
    told[name] = {"~": "GroupKey", "skeyid": {"~x": "00"}, "group": ""}
    with pytest.raises(MessageError):
        read(json.dumps(told))


@pytest.mark.parametrize(
    "text",
    [
        '{"~": "Popen", "args": "true"}',
        '{"~": "Judge"}',
        '{"~x": "zz"}',
        '{"~": "LogEvent", "code": "ike.over", "fields": {"key": {"~s": "secret"}}}',
        "[" * 100 + "]" * 100,
        '"' + "x" * LONGEST + '"',
        "",
    ],
)
def test_hostile_words_are_refused(text: str) -> None:
    with pytest.raises(MessageError):
        read(text)


def test_what_is_not_meant_to_travel_does_not() -> None:
    with pytest.raises(CulvertError):
        written({"a": object()})

"""Where keys stand in a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import ConfigError
from culvert.tables.lines import Place, key_lines, parse

TEXT = '''# comment = 1
a = 1
"b c" = "# no comment"  # k = 2
'd' = """
e = 1
\\""" still"""
list = [ # ] no
  "x", "]",
  ["y"],
]
inline = { x = 1, y = "}" }
dotted.key = 'l'
lit = \'\'\'
f = 2\'\'\'
[table]
a = 2
[[row]]
a = 3
[[row]]
a = 4
[row.sub]
a = 5
["q.\\u0041"]
z = 1'''


def test_every_key_has_its_line() -> None:
    assert dict(key_lines(TEXT)) == {
        ("a",): 2,
        ("b c",): 3,
        ("d",): 4,
        ("list",): 7,
        ("inline",): 11,
        ("dotted", "key"): 12,
        ("lit",): 13,
        ("table",): 15,
        ("table", "a"): 16,
        ("row", 0): 17,
        ("row", 0, "a"): 18,
        ("row", 1): 19,
        ("row", 1, "a"): 20,
        ("row", 1, "sub"): 21,
        ("row", 1, "sub", "a"): 22,
        ("q.A",): 23,
        ("q.A", "z"): 24,
    }


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb =\n", 2), ("a = 1\n\nb = [1,\n", 4), ("a = 1\na = 2", 2)]
)
def test_a_text_that_is_not_toml_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, path="f.toml", longest=1000)
    assert (caught.value.line, caught.value.path) == (line, "f.toml")


def test_deep_nesting_and_length_are_refused_not_followed() -> None:
    with pytest.raises(ConfigError, match="nested"):
        parse("a = " + "[" * 50_000, path="f", longest=100_000)
    with pytest.raises(ConfigError, match="longer than 10"):
        parse("a" * 11, path="f", longest=10)


SIGNS = st.text(alphabet="ab=[]{}\"'#.\\\n ,1-_u00A\r\t", max_size=60)


@given(SIGNS)
def test_any_text_is_refused_or_all_its_top_keys_are_found(text: str) -> None:
    try:
        document = parse(text, path="f", longest=1000)
    except ConfigError as error:
        assert error.line >= 1
    else:
        tops = {place[0] for place in key_lines(text)}
        assert tops == set(document)


values = st.one_of(
    st.integers(0, 9).map(str),
    st.text(alphabet="ab#=[\"'", max_size=5).map(lambda t: '"' + t.replace('"', '\\"') + '"'),
    st.lists(st.sampled_from(['"]"', "'#'", '"""\n"""']), max_size=3).map(
        lambda entries: "[\n" + ",\n".join(entries) + "\n]"
    ),
)


@given(st.lists(values, max_size=8))
def test_lines_are_those_on_which_the_keys_were_written(written: list[str]) -> None:
    text, expected = "", {}
    for number, value in enumerate(written):
        expected[(f"k{number}",)] = text.count("\n") + 1
        text += f"k{number} = {value} # = [\n"
    document: dict[str, Any] = tomllib.loads(text)
    found: dict[Place, int] = dict(key_lines(text))
    assert found == expected
    assert len(document) == len(written)

"""How strong a group key can be at most: aggressive mode shows everybody a hash to guess it by."""

from __future__ import annotations

from math import log2

from culvert.secret import Secret

SAFE_BITS = 128
"""Guessing fewer than these offline may come within reach while the key is in use."""
FEWEST_LETTERS = 8
"""Different characters of a key that may count as drawn by chance."""
CLASSES = ((str.islower, 26), (str.isupper, 26), (str.isdecimal, 10))
OTHER_CHARACTERS = 33


def bits(key: Secret) -> int:
    """What the key has at most: as if every character were drawn from the kinds that are in it."""
    text = key.reveal()
    if len(set(text)) < FEWEST_LETTERS:
        return 0
    size = sum(count for of, count in CLASSES if any(map(of, text)))
    if any(not any(of(letter) for of, _ in CLASSES) for letter in text):
        size += OTHER_CHARACTERS
    return int(len(text) * log2(size))


def strong(key: Secret) -> bool:
    """Whether it may have enough of them."""
    return bits(key) >= SAFE_BITS

"""Secret: a value that is never printed, never logged, never pickled by accident."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn


class Secret:
    """Holds a secret; printing or formatting it shows nothing."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a hash would be one more copy

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Every call of this is worth a reviewer's look; search for it."""
        return self._value

    def octets(self) -> bytes:
        """The secret as UTF-8, for keys and compares. Worth the same look as `reveal`."""
        return self._value.encode()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._value.encode(), other._value.encode())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")

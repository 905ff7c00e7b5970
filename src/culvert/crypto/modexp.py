"""Modular exponentiation through libcrypto's constant-time path, by ctypes; ``pow`` without it.

``cryptography`` checks the primes of groups 1 and 2 anew for every key (32 ms each), which a
stranger could use against a gateway; libcrypto's own function takes 0.1 ms (decision 0006).
The calls release the GIL.
"""

from __future__ import annotations

import ctypes
from functools import cache

_LIBRARIES = ("libcrypto.so.3", "libcrypto.so.4", "libcrypto.so.1.1")
_CONSTANT_TIME = 4  # BN_FLG_CONSTTIME

_POINTER = ctypes.c_void_p
_SIGNATURES: tuple[tuple[str, type | None, tuple[type, ...]], ...] = (
    ("BN_new", _POINTER, ()),
    ("BN_free", None, (_POINTER,)),
    ("BN_clear_free", None, (_POINTER,)),
    ("BN_set_flags", None, (_POINTER, ctypes.c_int)),
    ("BN_bin2bn", _POINTER, (ctypes.c_char_p, ctypes.c_int, _POINTER)),
    ("BN_bn2binpad", ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.c_int)),
    ("BN_CTX_new", _POINTER, ()),
    ("BN_CTX_free", None, (_POINTER,)),
    ("BN_MONT_CTX_new", _POINTER, ()),
    ("BN_MONT_CTX_set", ctypes.c_int, (_POINTER, _POINTER, _POINTER)),
    ("BN_mod_exp_mont_consttime", ctypes.c_int, (_POINTER,) * 6),
)


@cache
def _library() -> ctypes.CDLL | None:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            for function, result, arguments in _SIGNATURES:
                found = getattr(library, function)
                found.restype, found.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return library
    return None


class Modulus:
    """One odd modulus, prepared once; lives as long as the program."""

    def __init__(self, value: int) -> None:
        self._value = value
        self._octets = (value.bit_length() + 7) // 8
        self._library = _library()
        if self._library is not None:
            self._prepare(self._library)

    @property
    def native(self) -> bool:
        """Whether libcrypto does the work."""
        return self._library is not None

    def _prepare(self, lib: ctypes.CDLL) -> None:
        raw = self._value.to_bytes(self._octets, "big")
        self._modulus = lib.BN_bin2bn(raw, len(raw), None)
        self._montgomery = lib.BN_MONT_CTX_new()
        context = lib.BN_CTX_new()
        prepared = lib.BN_MONT_CTX_set(self._montgomery, self._modulus, context)
        lib.BN_CTX_free(context)
        if prepared != 1:
            self._library = None

    def power(self, base: bytes, exponent: bytes) -> bytes:
        """``base`` to ``exponent``, as wide as the modulus."""
        lib = self._library
        if lib is None:
            number = pow(int.from_bytes(base, "big"), int.from_bytes(exponent, "big"), self._value)
            return number.to_bytes(self._octets, "big")
        out = ctypes.create_string_buffer(self._octets)
        base_bn = lib.BN_bin2bn(base, len(base), None)
        exponent_bn = lib.BN_bin2bn(exponent, len(exponent), None)
        lib.BN_set_flags(exponent_bn, _CONSTANT_TIME)
        result = lib.BN_new()
        context = lib.BN_CTX_new()
        done = lib.BN_mod_exp_mont_consttime(
            result, base_bn, exponent_bn, self._modulus, context, self._montgomery
        )
        lib.BN_bn2binpad(result, out, self._octets)
        lib.BN_free(base_bn)
        lib.BN_clear_free(exponent_bn)
        lib.BN_clear_free(result)
        lib.BN_CTX_free(context)
        if done != 1:
            raise MemoryError("libcrypto could not compute a power")
        return out.raw

"""What stands in a TUN's place where the kernel's IPsec carries the packets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class IpsecLink:
    """The interface of ``number``. Its packets are the kernel's alone: nothing is read or written
    here, and there is no descriptor to wait at. `culvert.netio.machine.Machine` makes it."""

    virtio = False
    offloads: Sequence[str] = ()
    lanes: tuple[()] = ()

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        """It stays until the change that made it is undone."""

    def read_batch(self) -> list[bytes]:
        return []

    def write_batch(self, packets: Iterable[bytes]) -> int:
        return 0

    def write_frames(self, frames: Iterable[Sequence[bytes]]) -> int:
        return 0

"""Gives a position-independent program a fixed place in memory: prelink.py PROGRAM RESULT

The loader writes the addresses of wherever it has put such a program into the program's data, and
so each process gets a copy of its own of these pages: 7 MiB of dockerd, in every box. In the result
the addresses are in the file, as in a program that was linked without -pie, and boxes share them.

The format is that of the System V ABI (gABI 4.1, and the supplement for AMD64).
"""

import struct
import sys
from collections.abc import Iterator

#: Where a linker puts programs that have a fixed place.
BASE = 0x400000

_LOAD, _DYNAMIC, _GNU_STACK = 1, 2, 0x6474E551
_RELATIVE = 8
_RELA, _RELASZ, _RELACOUNT, _FLAGS, _FLAGS_1 = 7, 8, 0x6FFFFFF9, 30, 0x6FFFFFFB
_JMPREL, _PLTRELSZ, _SYMTAB, _STRTAB = 23, 2, 6, 5
_NEEDED = {_RELA, _RELASZ, _RELACOUNT, _FLAGS, _FLAGS_1, _JMPREL, _PLTRELSZ, _SYMTAB, _STRTAB}
_NOW, _PIE = 0x8, 0x08000000
#: Entries of the dynamic section that are addresses, and those that are not.
_ADDRESSES = {3, 4, 5, 6, 7, 12, 13, 23, 25, 26, 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFE}
_OTHERS = {0, 1, 2, 8, 9, 10, 11, 20, 21, 24, 27, 28, 29, 30, 0x6FFFFFFB, 0x6FFFFFFF, 0x6FFFFFF9}
#: References to symbols (64, COPY, GLOB_DAT, JUMP_SLOT, TPOFF64): the loader's, at any place.
_SYMBOLIC = {1, 5, 6, 7, 18}
_UNDEFINED, _ABSOLUTE, _TLS = 0, 0xFFF1, 6


class Program:
    """The bytes of an x86-64 program. Raises ValueError where it is none, or none for this."""

    def __init__(self, data: bytearray) -> None:
        self._data = data
        if data[:6] != b"\x7fELF\2\1" or struct.unpack_from("<HH", data, 16) != (3, 62):
            raise ValueError("not a position-independent x86-64 program")
        self._segments = list(self._table(32, 54, 56))
        #: Of each loaded segment, where it is in the file, its first address, and its size there.
        self._loads = [
            (self._word(at + 8), self._word(at + 16), self._word(at + 32))
            for at in self._segments
            if self._half(at) == _LOAD
        ]
        dynamic = next((at for at in self._segments if self._half(at) == _DYNAMIC), None)
        if dynamic is None:
            raise ValueError("it is linked statically")
        self._dynamic: dict[int, int] = {}
        for at in range(self._word(dynamic + 8), len(data), 16):
            self._dynamic.setdefault(self._word(at), at + 8)
            if self._word(at) == 0:
                break
        strange = self._dynamic.keys() - _ADDRESSES - _OTHERS | _NEEDED - self._dynamic.keys()
        if strange or not self._entry(_FLAGS) & _NOW:
            raise ValueError(f"its dynamic section is not as known here: {sorted(strange)}")

    def move(self) -> None:
        """Give it its place."""
        self._relocate()
        for at in range(self._offset(self._entry(_SYMTAB)), self._offset(self._entry(_STRTAB)), 24):
            section = struct.unpack_from("<H", self._data, at + 6)[0]
            if section not in (_UNDEFINED, _ABSOLUTE) and self._data[at + 4] & 15 != _TLS:
                self._shift(at + 8)
        for tag in _ADDRESSES & self._dynamic.keys():
            self._shift(self._dynamic[tag])
        self._set(self._dynamic[_FLAGS_1], self._entry(_FLAGS_1) & ~_PIE)
        for at in self._segments:
            if self._half(at) != _GNU_STACK:
                self._shift(at + 16)
                self._shift(at + 24)
        for at in self._table(40, 58, 60):
            if self._word(at + 8) & 2:  # has an address
                self._shift(at + 16)
        self._shift(24)  # where it begins
        struct.pack_into("<H", self._data, 16, 2)

    def _relocate(self) -> None:
        """Write the addresses, which come first; leave the loader those of symbols."""
        table, size, count = (self._entry(each) for each in (_RELA, _RELASZ, _RELACOUNT))
        first = self._offset(table)
        plt = self._offset(self._entry(_JMPREL))
        for at in range(first, first + 24 * count, 24):
            where, kind, value = struct.unpack_from("<QQq", self._data, at)
            if kind != _RELATIVE:
                raise ValueError(f"a relocation of another kind among the addresses: {kind:#x}")
            self._set(self._offset(where), value + BASE)
        for at in (
            *range(first + 24 * count, first + size, 24),
            *range(plt, plt + self._entry(_PLTRELSZ), 24),
        ):
            if self._half(at + 8) not in _SYMBOLIC:
                raise ValueError(f"a relocation of another kind: {self._half(at + 8)}")
            self._shift(at)
        self._set(self._dynamic[_RELA], table + 24 * count)
        self._set(self._dynamic[_RELASZ], size - 24 * count)
        self._set(self._dynamic[_RELACOUNT], 0)

    def _table(self, start: int, size: int, count: int) -> Iterator[int]:
        """Yield where each header of a table is, which the program's own header tells."""
        each, number = (struct.unpack_from("<H", self._data, at)[0] for at in (size, count))
        yield from range(self._word(start), self._word(start) + each * number, each)

    def _entry(self, tag: int) -> int:
        return self._word(self._dynamic[tag])

    def _offset(self, address: int) -> int:
        for offset, begin, size in self._loads:
            if begin <= address < begin + size:
                return offset + address - begin
        raise ValueError(f"nothing of the file is at {address:#x}")

    def _word(self, at: int) -> int:
        return int(struct.unpack_from("<Q", self._data, at)[0])

    def _half(self, at: int) -> int:
        return int(struct.unpack_from("<I", self._data, at)[0])

    def _set(self, at: int, value: int) -> None:
        struct.pack_into("<Q", self._data, at, value)

    def _shift(self, at: int) -> None:
        self._set(at, self._word(at) + BASE)


def main() -> None:
    """Write RESULT, or say why there is none."""
    program, result = sys.argv[1:]
    with open(program, "rb") as file:
        data = bytearray(file.read())
    try:
        Program(data).move()
    except (ValueError, struct.error) as wrong:
        sys.exit(f"{program} keeps its place: {wrong}")
    with open(result, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main()

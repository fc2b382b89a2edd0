"""Counts what a git-upload-pack says beside the pack: see gitprotocol-common(5) and gitprotocol-pack(5)."""

_LENGTH, _PACK_DATA = 4, 1


class Packets:
    """Follows a server's packets. `listed`: how many bytes were refs and other words, all of which git keeps in memory;
    the pack itself it writes to disk.
    """

    def __init__(self) -> None:
        self.listed = 0
        self._head, self._left, self._lists, self._raw = b"", 0, False, False

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        place = 0
        while place < len(chunk) and not self._raw:
            if self._left:
                count = min(self._left, len(chunk) - place)
                self._left -= count
                self.listed += count if self._lists else 0
            else:
                count = _LENGTH + 1 - len(self._head)
                self._head += chunk[place : place + count]
                self._begin()
            place += count

    def _begin(self) -> None:
        """A packet, once its length and its first byte are there."""
        if len(self._head) < _LENGTH:
            return
        try:
            length = int(self._head[:_LENGTH], 16)
        except ValueError:
            # no packets: git refuses it, or takes it for a pack
            self._raw = True
            return
        if length <= _LENGTH:
            self.listed += _LENGTH
            self._head = self._head[_LENGTH:]
        elif len(self._head) > _LENGTH:
            self._lists = self._head[_LENGTH] != _PACK_DATA
            self._left = length - _LENGTH - 1
            self.listed += _LENGTH + 1 if self._lists else 0
            self._head = b""

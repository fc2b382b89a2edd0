"""An age plugin called `test`, which keeps file keys by XOR and asks for a PIN. Protocol: https://c2sp.org/age-plugin"""

import sys
from pathlib import Path

PIN = "4711"

_SCRIPT = """
import base64, sys

def read():
    line = sys.stdin.readline()
    if not line:
        sys.exit(3)
    body = ""
    while True:
        part = sys.stdin.readline().rstrip("\\n")
        body += part
        if len(part) < 64:
            break
    return line.split()[1:], base64.b64decode(body + "=" * (-len(body) % 4))

def write(*words, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    sys.stdout.write("-> " + " ".join(words) + "\\n" + text + "\\n")
    sys.stdout.flush()

def hidden(key):
    return bytes(b ^ 0x5A for b in key)

stanzas = []
while True:
    words, body = read()
    stanzas.append((words, body))
    if words[0] == "done":
        break
if "recipient-v1" in sys.argv[1]:
    for number, body in enumerate(b for w, b in stanzas if w[0] == "wrap-file-key"):
        write("recipient-stanza", str(number), "test", body=hidden(body))
        read()
else:
    write("request-secret", body=b"PIN of the test token")
    words, pin = read()
    found = [body for w, body in stanzas if w[0] == "recipient-stanza" and w[2] == "test"]
    if pin == b"%PIN%" and found:
        write("file-key", "0", body=hidden(found[0]))
    else:
        write("error", "identity", "0", body=b"the PIN is wrong")
    read()
write("done")
"""


def install(directory: Path) -> tuple[str, str]:
    """Write `age-plugin-test` into `directory`; its recipient and its identity."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "age-plugin-test"
    program.write_text(f"#!{sys.executable} -IS\n{_SCRIPT.replace('%PIN%', PIN)}")
    program.chmod(0o755)
    return _bech32("age1test", b"token"), _bech32("age-plugin-test-", b"token").upper()


def _bech32(prefix: str, data: bytes) -> str:
    """BIP 173's encoding, which age has for its keys."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    bits = "".join(f"{byte:08b}" for byte in data)
    values = [int(bits[i : i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = _polymod([*expanded, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return f"{prefix}1" + "".join(alphabet[v] for v in values)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    return check

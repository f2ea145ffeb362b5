"""Makes crc.json: CRCs of given bytes by implementations that share no code with ours.

    pip install awscrt==0.38.1 google-crc32c==1.9.0 crcmod==1.7 && python make.py > crc.json

Each value is made by two of them at least, and they have to agree. crcmod is told each CRC's polynomial alone.
"""
import base64
import json

import awscrt.checksums
import crcmod
import google_crc32c

LENGTHS = [0, 1, 7, 8, 63, 64, 65, 1000, 2251, 2252, 4096, 5275, 16383, 16448, 65536, 1048576, 5242883]
CRCS = {
    "crc64nvme": (8, 0x1AD93D23594C93659, [awscrt.checksums.crc64nvme]),
    "crc32c": (4, 0x11EDC6F41, [awscrt.checksums.crc32c, google_crc32c.value]),
    "crc32": (4, 0x104C11DB7, [awscrt.checksums.crc32]),
}


def content(length):
    """Byte i is bits 13 to 20 of i * 2654435761."""
    return bytes((i * 2654435761 >> 13) & 255 for i in range(length))


def crc(name, data):
    width, polynomial, makers = CRCS[name]
    ones = (1 << 8 * width) - 1
    value = crcmod.mkCrcFun(polynomial, initCrc=0, rev=True, xorOut=ones)(data)
    for maker in makers:
        assert maker(data) == value, (name, maker, len(data))
    return base64.b64encode(value.to_bytes(width, "big")).decode()


lines = []
for length in LENGTHS:
    data = content(length)
    lines.append("  " + json.dumps({"length": length} | {name: crc(name, data) for name in CRCS}))
made_by = "awscrt 0.38.1, google-crc32c 1.9.0, crcmod 1.7; make.py says how"
print('{ "madeBy": "%s", "vectors": [\n%s\n] }' % (made_by, ",\n".join(lines)))

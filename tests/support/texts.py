"""Small text files of every kind that people bring."""

import codecs

LINES = ["the cat sat on the mat", "the dog ran to the cat", "a bird saw the dog"] * 20
PLAIN = "\n".join(LINES) + "\n"

# The same text in forms that must give the same tokens.
EQUAL = {
    "byte order mark": codecs.BOM_UTF8 + PLAIN.encode(),
    "Windows line ends": PLAIN.replace("\n", "\r\n").encode(),
    "old Mac line ends": PLAIN.replace("\n", "\r").encode(),
    "mixed line ends": PLAIN.replace("\n", "\r\n", 7).encode(),
}

# Text in another encoding, or no text, and a part of the message that refuses it.
REFUSED = {
    "UTF-16 with a mark": (PLAIN.encode("utf-16"), "is UTF-16, not UTF-8; save it as UTF-8"),
    "UTF-16BE with a mark": (codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), "is UTF-16, not"),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), "is UTF-16LE, not UTF-8"),
    "UTF-16BE without a mark": (PLAIN.encode("utf-16-be"), "is UTF-16BE, not UTF-8"),
    "UTF-32 with a mark": (PLAIN.encode("utf-32"), "is UTF-32, not UTF-8"),
    "UTF-32 without a mark": (PLAIN.encode("utf-32-le"), "is UTF-32LE, not UTF-8"),
    "UTF-32BE without a mark": (PLAIN.encode("utf-32-be"), "is UTF-32BE, not UTF-8"),
    "a NUL": (PLAIN.encode() + b"\0 " + PLAIN.encode(), r"holds a NUL at byte 1,300: this is not"),
    "latin-1": (
        b"line\ncaf\xe9 " + PLAIN.encode(),
        r"is not UTF-8 \(byte 8, line 2, is 0xE9\); convert it first, .* iconv -f latin1",
    ),
    "nothing": (b"", "is empty"),
    "a mark alone": (codecs.BOM_UTF8, "is empty"),
    "blank lines": (b"\r\n \n\n", "is empty"),
    "one word": (b"word", "has 4 characters: too short to be split"),
}

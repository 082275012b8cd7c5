"""Names of files as text that can be stored: a name of a file system is bytes, and need not be UTF-8.

What cannot stand in a UTF-8 file on one line is written as an escape: a byte that is not UTF-8 as `\\xff`, a control
character as `\\x0a` or `\\u2028`, a backslash as two. All other names are their own text.
"""

import re

# Lone surrogates, as which Python keeps bytes that are not UTF-8; control characters; what ends a line.
_UNFIT = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4})")
_FIRST_BYTE = 0xDC00  # PEP 383: byte b, at least 0x80, is kept as the surrogate 0xDC00 + b.


def text_of(name: str) -> str:
    """Writes a name as text that every file format takes.

    Args:
      name: name of a file as returned by `os`.

    Returns:
      The text; different names have different texts.
    """
    return _UNFIT.sub(_escape, name)


def name_of(text: str) -> str:
    """Inverse of `text_of`.

    Args:
      text: text of a name.

    Returns:
      The name as `os` takes it.
    """
    return _ESCAPE.sub(_unescape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] == "\\":
        return "\\\\"
    if _FIRST_BYTE + 0x80 <= code <= _FIRST_BYTE + 0xFF:
        return f"\\x{code - _FIRST_BYTE:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _unescape(found: re.Match[str]) -> str:
    if found[1] == "\\":
        return "\\"
    code = int(found[1][1:], 16)
    return chr(_FIRST_BYTE + code) if found[1][0] == "x" and code >= 0x80 else chr(code)

"""Names and notes that people write: short, on one line, and without characters that nobody sees.

Other people and their agents read them. So nothing may be hidden in them: no control characters, no marks that turn the direction of
writing, no tag characters (which models read and people do not see).
"""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

# Control characters, soft hyphen, zero-width space, direction marks and overrides, line separators, invisible operators, byte order mark.
_HIDDEN = r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_SEEN = rf"[^\s{_HIDDEN}]([^{_HIDDEN}]*[^\s{_HIDDEN}])?"
_JOINERS = "\u200c\u200d"  # Persian and some emoji are written with them


def _all_seen(words: str) -> str:
    for letter in words:
        if unicodedata.category(letter) == "Cf" and letter not in _JOINERS:
            raise ValueError(f"U+{ord(letter):04X} is a character that nobody sees; leave it out")
    return words


Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=80,
        pattern=f"^{_SEEN}$",
        description="plain text on one line, without a space at either end; shown to others",
    ),
    AfterValidator(_all_seen),
]
Nick = Annotated[
    str,
    Field(min_length=1, max_length=40, pattern=f"^{_SEEN}$", description="as a name, in 40 letters at most"),
    AfterValidator(_all_seen),
]
Note = Annotated[
    str,
    Field(max_length=80, pattern=f"^({_SEEN})?$", description="plain text on one line, without a space at either end; for yourself"),
    AfterValidator(_all_seen),
]

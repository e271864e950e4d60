"""What a template says in a call: voice.txt, plain or in SSML, by the voice and language that template.toml names under [voice].

Whether it is SSML is what the author wrote, never what a value brings: a name with an angle stays a name.
"""

import re
from collections.abc import Mapping
from typing import Any

from channels.template_files import BadFile, Part

FILE = "voice.txt"
_PATTERNS = {
    "name": (r"[A-Za-z][A-Za-z0-9.\-]{0,60}", "the name of a voice, such as Amy"),
    "language": (r"[a-z]{2,3}-[A-Z]{2}", "a language with its country, such as en-GB"),
}


def parts(files: Mapping[str, str], settings_file: str, voice: Mapping[str, Any]) -> list[Part]:
    """The speech, and who speaks it where the template says so. Raises BadFile."""
    source = files[FILE].strip()
    speech = Part("ssml", FILE, source, is_html=True) if source.startswith("<speak") else Part("text", FILE, source)
    if unknown := sorted(set(voice) - set(_PATTERNS)):
        raise BadFile(settings_file, f"unknown field {', '.join(unknown)} of [voice]; known are {', '.join(_PATTERNS)}")
    for field, found in voice.items():
        pattern, words = _PATTERNS[field]
        if not isinstance(found, str) or not re.fullmatch(pattern, found):
            raise BadFile(settings_file, f"{field} of [voice] must be {words}")
    names = {"name": "voice", "language": "language"}
    return [speech, *(Part(names[field], settings_file, found) for field, found in voice.items())]

"""The few words of roff that a manual page needs, in man(7)'s form."""

import re


def escape(text: str) -> str:
    """Text as it is to be read: hyphens that can be copied, no line that roff would take for its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def prose(text: str) -> str:
    """Text in which `what is in backquotes` is bold."""
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fR", escape(text))


def title(name: str, section: int, what: str) -> str:
    """The head of a page, with its name and what it is."""
    return f'.\\" Made by script/generate.\n.TH {name.upper()} {section} "" hailo\\-whisper\n.SH NAME\n{escape(name)} \\- {escape(what)}\n'


def tagged(tag: str, text: str) -> str:
    """A paragraph with a tag, which is roff already, in front."""
    return f".TP\n{tag}\n{text or 'See above.'}\n"

"""hailo-whisper(1)."""

from collections.abc import Sequence

from .commands import Command, Option
from .roff import escape, prose, tagged, title

FILES = {
    "/etc/hailo/hailo-whisper.yaml": "The configuration, for people: see hailo-whisper.yaml(5).",
    "/etc/xdg/hailo-whisper/hailo-whisper.json": "The configuration as the service reads it, made by `hailo-whisper config render`.",
    "/etc/hailo/hailo-whisper.keys": "The API keys, where `access.keys` names it: one on a line, read again when it changes.",
    "/etc/hailo/models.d/*.yaml": "Models beyond those that the program knows.",
    "/etc/hailo/purge-models": "While it is there, purging the Debian package removes the models too.",
    "/var/lib/hailo-whisper/models": "The models, a folder for each. Root's, for the service only to read.",
}
EXAMPLES = {
    "hailo-whisper models pull base": "Fetch a model. The service takes it within two seconds.",
    "curl -F file=@recording.mp3 -F model=whisper-1 http://127.0.0.1:11437/v1/audio/transcriptions": "Have the service transcribe a recording.",
    "hailo-whisper transcribe *.mp3 --format srt": "Make subtitles of many, without the service.",
    "hailo-whisper keys add kitchen": "Let somebody else use the service, where `access.keys` and `server.host` allow it.",
    "hailo-whisper config render && systemctl reload hailo-whisper": "Take a changed configuration without losing a request.",
}


def page(commands: Sequence[Command]) -> str:
    """The whole page."""
    return "".join(
        [
            title("hailo-whisper", 1, "private speech service with the OpenAI audio interface"),
            ".SH SYNOPSIS\n",
            *(f"{'.br' if number else ''}\n{_usage(command)}\n".lstrip() for number, command in enumerate(commands)),
            ".SH DESCRIPTION\n",
            prose(
                "Turns recordings of speech into text, with Whisper models on this machine. As a service (systemd's unit `hailo-whisper`) it has the "
                "interface of OpenAI's audio API, on port 11437; as a command it transcribes files. Models are fetched once, by `hailo-whisper models "
                "pull`, and verified; the service itself asks no network for anything."
            ),
            "\n.SH COMMANDS\n",
            *(_described(command) for command in commands),
            ".SH EXIT STATUS\n",
            tagged("0", "Done."),
            tagged("1", "Refused or failed. A sentence on standard error says what to do."),
            tagged("2", "Wrong usage."),
            tagged("130", "Interrupted. Where a command can go on, it does so when it is given again."),
            ".SH ENVIRONMENT\n",
            tagged(
                "\\fBHAILO_WHISPER_\\fISECTION\\fB_\\fIKEY\\fR",
                prose("The setting of that name, such as `HAILO_WHISPER_SERVER_PORT`: stronger than the file."),
            ),
            tagged("\\fBWHISPER_MODEL_PATH\\fR", prose("The setting `model.path`.")),
            tagged(
                "\\fBWHISPER_MODEL\\fR, \\fBMODEL_CACHE_DIR\\fR",
                prose("For `container` only: the name of the model, and the folder in which it is looked for besides."),
            ),
            tagged("\\fBOPENAI_API_KEY\\fR", prose("The key for `transcribe --server`.")),
            ".SH FILES\n",
            *(tagged(f"\\fI{escape(name)}\\fR", prose(text)) for name, text in FILES.items()),
            ".SH EXAMPLES\n",
            *(tagged(f"\\fB{escape(name)}\\fR", prose(text)) for name, text in EXAMPLES.items()),
            ".SH SEE ALSO\n\\fBhailo\\-whisper.yaml\\fR(5), \\fBsystemctl\\fR(1), \\fBjournalctl\\fR(1)\n.PP\n",
            escape("/usr/share/doc/hailo-whisper has the manuals of the interface and of the operation."),
            "\n",
        ]
    )


def _usage(command: Command) -> str:
    arguments = [_shown(option) for option in command.options if not option.names]
    needed = [_shown(option) for option in command.options if option.names and option.needed]
    optional = ["[\\fIOPTION\\fR]..."] if any(option.names and not option.needed for option in command.options) else []
    return " ".join([f"\\fBhailo\\-whisper {escape(' '.join(command.words))}\\fR", *optional, *needed, *arguments])


def _shown(option: Option) -> str:
    value = f"\\fI{escape(option.value)}\\fR" if option.value else ""
    text = " ".join(part for part in (f"\\fB{escape(option.names[-1])}\\fR" if option.names else "", value) if part)
    text += "..." if option.many else ""
    return text if option.needed else f"[{text}]"


def _described(command: Command) -> str:
    options = "".join(
        tagged(
            ", ".join(f"\\fB{escape(name)}\\fR" for name in option.names)
            + (" " if option.names and option.value else "")
            + (f"\\fI{escape(option.value)}\\fR" if option.value else ""),
            prose(option.help[:1].upper() + option.help[1:] + "." if option.help else ""),
        )
        for option in command.options
    )
    return f".SS {escape(' '.join(command.words))}\n{prose(command.text)}\n{options}"

"""What a request demands of the engine, and whether it has that: an engine never imitates what it cannot do."""

from ..engines.engine import Capabilities, Options
from .errors import ApiError


def check(options: Options, capabilities: Capabilities, model: str, *, detect: bool) -> None:
    """Raise ApiError, which names the field, for what the engine cannot do. `detect`: the request wants the language detected."""
    if options.task == "translate" and not capabilities.translates:
        raise _cannot(f"The model {model} cannot translate. Configure a multilingual one (model.name).", "model")
    if options.language is not None and options.language not in capabilities.languages:
        raise ApiError(
            400,
            f"The model {model} does not know the language '{options.language}'. It knows: {', '.join(capabilities.languages)}.",
            param="language",
            code="unsupported_language",
        )
    if detect and not capabilities.detects_language:
        raise _cannot(f"The model {model} does not detect languages. Name the one that is spoken in `language`.", "languages[]")
    if options.language is None and not capabilities.detects_language and len(capabilities.languages) > 1:
        raise _cannot(
            f"The model {model} does not detect languages on this machine. Name the one that is spoken in `language`.", "language"
        )
    for asked, able, param, what in (
        (options.prompt is not None, capabilities.prompts, "prompt", "take a prompt"),
        (options.hotwords is not None, capabilities.hotwords, "keywords[]", "be told of words to expect"),
        (options.temperature > 0, capabilities.temperature, "temperature", "guess more freely"),
        (options.words, capabilities.words, "timestamp_granularities[]", "tell when each word was said"),
        (options.logprobs, capabilities.logprobs, "include[]", "tell how probable each token was"),
    ):
        if asked and not able:
            raise _cannot(f"The model {model} cannot {what} on this machine. Leave the field `{param}` out.", param)


def _cannot(message: str, param: str) -> ApiError:
    return ApiError(400, message, param=param, code="unsupported_value")

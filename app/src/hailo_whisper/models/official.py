"""What OpenAI published: the sum of each checkpoint, and what a conversion needs that is not in it."""

import json
import lzma
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

PACKAGED = Path(__file__).with_name("data") / "openai"
# English-only models have one token less than the multilingual ones, and large-v3 one language more (Cantonese).
ENGLISH, MULTILINGUAL, MULTILINGUAL_V3 = 51864, 51865, 51866
TIMESTAMP_SECONDS = 0.02


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Official(_Entry):
    """One checkpoint. `also` are other names that its file goes by; `heads` are pairs of a layer and a head of attention."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    heads: Annotated[list[tuple[int, int]], Field(min_length=1)]
    also: list[str] = []


class _File(_Entry):
    schema_version: Literal[1]
    checkpoints: list[Official]


def load(folder: Path = PACKAGED) -> list[Official]:
    """The checkpoints that are known."""
    return _File.model_validate(yaml.safe_load((folder / "checkpoints.yaml").read_text(encoding="utf-8"))).checkpoints


def tokenizer(vocabulary: int) -> str:
    """The tokenizer.json of the models with so many tokens. Raises KeyError for another number."""
    packed = {ENGLISH: "english", MULTILINGUAL: "multilingual", MULTILINGUAL_V3: "multilingual"}[vocabulary]
    text = lzma.decompress((PACKAGED / f"{packed}.json.xz").read_bytes()).decode()
    return text if vocabulary != MULTILINGUAL_V3 else _with_cantonese(text)


def _with_cantonese(text: str) -> str:
    """Put the token <|yue|> behind the last language. What came after it moves up by one, and one is called otherwise since then."""
    described = json.loads(text)
    tokens = described["added_tokens"]
    behind = next(place for place, token in enumerate(tokens) if token["content"] == "<|su|>") + 1
    first = tokens[behind]["id"]
    for token in tokens[behind:]:
        token["id"] += 1
        if token["content"] == "<|nocaptions|>":
            token["content"] = "<|nospeech|>"
    tokens.insert(behind, tokens[behind - 1] | {"id": first, "content": "<|yue|>"})
    for special in described["post_processor"]["special_tokens"].values():
        special["ids"] = [number + (number >= first) for number in special["ids"]]
    return json.dumps(described, indent=2, ensure_ascii=False)


def tokens(tokenizer_json: str, vocabulary: int) -> list[str]:
    """Every token by its number, timestamps and all."""
    described = json.loads(tokenizer_json)
    numbers = described["model"]["vocab"] | {token["content"]: token["id"] for token in described["added_tokens"]}
    known = sorted(numbers, key=numbers.__getitem__)
    return [*known, *(f"<|{place * TIMESTAMP_SECONDS:.2f}|>" for place in range(vocabulary - len(known)))]


def suppressed(vocabulary: int) -> dict[str, Any]:
    """The tokens that a decoder must not say, ever or at the beginning, and those of the languages: as in OpenAI's own settings."""
    never = _SYMBOLS_ENGLISH if vocabulary == ENGLISH else _SYMBOLS
    # <|startoftranscript|>, and <|translate|> to <|nocaptions|> (<|nospeech|>), which follow the languages.
    start, languages = (50257, range(50259, 50357)) if vocabulary == ENGLISH else (50258, range(50259, vocabulary - 1507))
    return {
        "suppress_ids": [*never, start, *range(languages.stop, languages.stop + 5)],
        "suppress_ids_begin": [220, start - 1],
        "lang_ids": list(languages),
    }


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split()]


# Brackets, notes, quotation marks that are not spoken: the "non-speech tokens" of OpenAI's program.
_SYMBOLS_ENGLISH = _numbers(
    """
    1 2 7 8 9 10 14 25 26 27 28 29 31 58 59 60 61 62 63 90 91 92 93 357 366 438 532 685 705 796 930 1058 1220 1267
    1279 1303 1343 1377 1391 1635 1782 1875 2162 2361 2488 3467 4008 4211 4600 4808 5299 5855 6329 7203 9609 9959
    10563 10786 11420 11709 11907 13163 13697 13700 14808 15306 16410 16791 17992 19203 19510 20724 22305 22935 27007
    30109 30420 33409 34949 40283 40493 40549 47282 49146
    """
)
_SYMBOLS = _numbers(
    """
    1 2 7 8 9 10 14 25 26 27 28 29 31 58 59 60 61 62 63 90 91 92 93 359 503 522 542 873 893 902 918 922 931 1350 1853
    1982 2460 2627 3246 3253 3268 3536 3846 3961 4183 4667 6585 6647 7273 9061 9383 10428 10929 11938 12033 12331
    12562 13793 14157 14635 15265 15618 16553 16604 18362 18956 20075 21675 22520 26130 26161 26435 28279 29464 31650
    32302 32470 36865 42863 47425 49870 50254
    """
)

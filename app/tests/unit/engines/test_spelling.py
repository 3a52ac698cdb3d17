import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.engines import spelling
from hailo_whisper.engines.spelling import Piece, Spelt, alphabet, characters, mended, raw

LETTERS = {byte: letter for letter, byte in alphabet().items()}


def test_the_alphabet_is_that_of_gpt_2() -> None:
    assert len(alphabet()) == 256
    assert sorted(alphabet().values()) == list(range(256))
    assert [alphabet()[letter] for letter in "aĠĊÃ"] == [*b"a \n", 0xC3]


@given(st.binary())
def test_a_token_is_what_its_letters_stand_for(data: bytes) -> None:
    assert raw("".join(LETTERS[byte] for byte in data)) == data


def test_a_token_of_another_alphabet_is_itself() -> None:
    assert raw("日本") == "日本".encode()


def test_a_character_may_take_several_tokens() -> None:
    assert characters([b" gr", b"\xc3", b"\xbc", b"n"]) == [Piece(0, 1, " gr"), Piece(1, 3, "ü"), Piece(3, 4, "n")]


def test_what_is_no_utf_8_is_told_as_such() -> None:
    assert mended([b"a\xe3", b"\x81", b"b", b"\xc3"]) == ["a�b".encode(), b"", b"", "�".encode()]
    assert mended([b"\xe3\x81", b"\x82"]) == [b"\xe3\x81", b"\x82"]


@given(st.lists(st.binary(max_size=6)))
def test_mended_tokens_spell_what_the_tokens_do(tokens: list[bytes]) -> None:
    found = mended(tokens)
    assert len(found) == len(tokens)
    assert b"".join(found).decode() == b"".join(tokens).decode(errors="replace")


def said(*tokens: str, spaced: bool = True) -> list[str]:
    return [word.text for word in spelling.words([token.encode() for token in tokens], spaced=spaced)]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((" Un", "less", " to", " be"), ["Unless", "to", "be"]),
        ((" ill", "-", "dis", "posed", "."), ["ill-disposed."]),
        ((" don", "'t", ",", " he"), ["don't,", "he"]),
        ((" l", "'", "hom", "me"), ["l'homme"]),
        ((" Vra", "iment", " ?", " Oui", " !"), ["Vraiment ?", "Oui !"]),
        ((" «", " Oui", " »", "."), ["« Oui »."]),
        ((" He", ' "', "said", '"', " so"), ["He", '"said"', "so"]),
        ((" ¿", "Que", "?"), ["¿Que?"]),
        ((" one", " -", " two"), ["one", "- two"]),
        ((" 100", "%", " of", " $", "5"), ["100%", "of", "$5"]),
        (("...", " well"), ["... well"]),
        ((" well", " ..."), ["well ..."]),
        ((" ...",), ["..."]),
        ((" well", " ("), ["well ("]),
        ((" ", "one", " ", "two"), ["one", "two"]),
        ((" ", " "), []),
        ((), []),
        (("नम", "स्", "ते", " दुनिया"), ["नमस्ते", "दुनिया"]),
    ],
)
def test_words_lie_between_spaces(tokens: tuple[str, ...], expected: list[str]) -> None:
    assert said(*tokens) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (("こん", "に", "ちは", "。"), ["こん", "に", "ちは。"]),
        (("「", "は", "い", "」", "と"), ["「は", "い」", "と"]),
        (("这是", "Open", "AI", " Whis", "per", "。"), ["这是", "OpenAI", "Whisper。"]),
        (("ก", "ิ", "น"), ["กิ", "น"]),
    ],
)
def test_without_spaces_words_are_characters(tokens: tuple[str, ...], expected: list[str]) -> None:
    assert said(*tokens, spaced=False) == expected


def test_the_heard_tokens_of_a_word_are_those_without_its_punctuation() -> None:
    tokens = [b' "', b"ill", b"-", b"disposed", b".", b'"', b" So"]
    assert spelling.words(tokens, spaced=True) == [Spelt('"ill-disposed."', 1, 4), Spelt("So", 6, 7)]


@given(st.lists(st.text(alphabet=" aé.-\"'(漢%", max_size=4)), st.booleans())
def test_no_letter_is_lost_or_made_up(tokens: list[str], spaced: bool) -> None:
    found = spelling.words([token.encode() for token in tokens], spaced=spaced)
    assert "".join(word.text for word in found).replace(" ", "") == "".join(tokens).replace(" ", "")
    assert all(word.text == word.text.strip() != "" for word in found)
    assert all(0 <= word.first < word.last <= len(tokens) for word in found)
    assert all(one.last <= other.first for one, other in itertools.pairwise(found))

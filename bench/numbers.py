"""Whole numbers in words, in the languages of the corpus: what one speaker writes as 21, another writes out."""

from typing import Final

_UNITS: Final = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete dieciocho "
    "diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete veintiocho veintinueve",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf",
}
_TENS: Final = {
    "en": "- - twenty thirty forty fifty sixty seventy eighty ninety",
    "es": "- - - treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "fr": "- - vingt trente quarante cinquante soixante soixante quatre-vingt quatre-vingt",
}
_HUNDREDS: Final = {
    "es": "- ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
}


def spoken(number: int, language: str) -> str:
    """How `number`, from 0 to 999999, is said; languages other than es and fr are taken for English."""
    language = language if language in _UNITS else "en"
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return _below_thousand(rest, language)
    word = {"en": "thousand", "es": "mil", "fr": "mille"}[language]
    many = "" if thousands == 1 and language != "en" else _below_thousand(thousands, language)
    return " ".join(part for part in (many, word, _below_thousand(rest, language) if rest else "") if part)


def _below_thousand(number: int, language: str) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest, language)
    if language == "es":
        head = "cien" if number == 100 else _HUNDREDS["es"].split()[hundreds]
    elif language == "fr":
        head = "cent" if hundreds == 1 else f"{_UNITS['fr'].split()[hundreds]} cent{'' if rest else 's'}"
    else:
        head = f"{_UNITS['en'].split()[hundreds]} hundred"
    return f"{head} {_below_hundred(rest, language)}" if rest else head


def _below_hundred(number: int, language: str) -> str:
    units = _UNITS[language].split()
    if number < len(units):
        return units[number]
    tens, rest = divmod(number, 10)
    word = _TENS[language].split()[tens]
    if language == "fr":
        return _french(tens, rest, word, units)
    if not rest:
        return word
    return f"{word} y {units[rest]}" if language == "es" else f"{word} {units[rest]}"


def _french(tens: int, rest: int, word: str, units: list[str]) -> str:
    if tens in (7, 9):
        # Counted on from sixty and from four-twenties.
        return f"{word} et onze" if (tens, rest) == (7, 1) else f"{word} {units[10 + rest]}"
    if rest == 0:
        return "quatre-vingts" if tens == 8 else word
    return f"{word} et un" if rest == 1 and tens != 8 else f"{word} {units[rest]}"

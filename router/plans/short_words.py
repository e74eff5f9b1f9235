"""Words behind short answers: texts made alike, and what says yes, no, a small number, or nothing at all.

Tables cover the languages that answers are mostly in; a word that is not there only means one agreement less.
"""

from __future__ import annotations

import re
import unicodedata

_YES = (
    "yes yeah yep true correct ja oui si sí sim da да так tak ano áno igen evet ναι はい 是 是的 对 對 正确 네 예 예요 "
    "हाँ हां نعم כן ใช่ vâng ya jah kyllä jo ja"
)
_NO = (
    "no nope false incorrect nein non não нет ні nie ne nem hayır όχι いいえ 否 不 不是 不对 错误 아니요 아니오 नहीं "
    "\u0644\u0627 \u05dc\u05d0 ไม่ ไม่ใช่ không tidak nee nej nei ei"
)
YES_OR_NO = dict.fromkeys(_YES.split(), "yes") | dict.fromkeys(_NO.split(), "no")

_ARTICLES = frozenset(
    "the a an le la les un une des der die das den dem ein eine el los las una il lo gli os um uma het een".split()
)
_ELIDED = re.compile(r"(?:l|un|dell)['’](?=\w)", re.IGNORECASE)

_LEAD_IN = re.compile(
    r"(?:so |then |thus |therefore |hence |sure )?(?:it is|its|it was|that is|thats|this is|that would be|it would be|"
    r"i think it is|es ist|das ist|cest|ce sont|es) (?=\S)"
)
COPULAS = frozenset("is are was were ist sind war waren est sont était es son era eran é è sono são is是".split())

_NO_ANSWER = frozenset(
    {
        "i dont know",
        "i do not know",
        "dont know",
        "unknown",
        "not known",
        "na",
        "n a",
        "not sure",
        "im not sure",
        "i am not sure",
        "unclear",
        "cannot be determined",
        "cannot say",
        "not enough information",
        "ich weiss es nicht",
        "weiss ich nicht",
        "unbekannt",
        "je ne sais pas",
        "inconnu",
        "no lo se",
        "no se",
        "desconocido",
        "non lo so",
        "nao sei",
        "не знаю",
        "不知道",
        "わかりません",
        "분からない",
    }
)

_UNITS_AND_TENS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_TO_TWELVE = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze",
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici",
    "zero um dois três quatro cinco seis sete oito nove dez onze doze",
)


def _number_words() -> dict[str, int]:
    words = {word: value for language in _TO_TWELVE for value, word in enumerate(language.split())}
    ones = _UNITS_AND_TENS.split()
    words |= {word: value for value, word in enumerate(ones)}
    for ten, word in zip(range(30, 100, 10), _TENS.split(), strict=True):
        words[word] = ten
    tens = [("twenty", 20), *((word, words[word]) for word in _TENS.split())]
    words |= {f"{word}{joint}{ones[unit]}": ten + unit for word, ten in tens for unit in range(1, 10) for joint in "- "}
    words = {plain(word): value for word, value in words.items()}
    return words | {"hundred": 100, "a hundred": 100, "one hundred": 100, "thousand": 1000, "a thousand": 1000}


_SPACES = re.compile(r"\s+")
_INNER = frozenset(".,:/%+@#&°−-$€£")
"""What counts between two letters or digits (3.5, 10:30, C++), though not at a word's edge."""
_KEPT_AT_EDGE = frozenset("%+#°$€£−")
_OPERATORS = frozenset("+-−/%")
"""Stand by themselves for something: `2 + 3` is not `2 - 3`."""
_DROPPED = frozenset("'’‘`´*_\"“”„«»")


def plain(text: str) -> str:
    """A text as it is compared: one width, one case, no accents on Latin or Greek letters, no marks at words' edges."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = "".join(char for char in folded if char not in _DROPPED)
    if not folded.isascii():
        folded = _without_accents(folded)
    words = (_trimmed(word) for word in _SPACES.split(_spaced(folded)))
    return " ".join(word for word in words if word)


def short_text(text: str) -> str:
    """The same, without a lead-in (`it is`) and without articles before its first word."""
    words = plain(_ELIDED.sub("", text.lstrip()))
    words = _LEAD_IN.sub("", words, count=1) if _LEAD_IN.match(words) else words
    parts = words.split()
    while len(parts) > 1 and parts[0] in _ARTICLES:
        parts.pop(0)
    return " ".join(parts)


def says_nothing(text: str) -> bool:
    """Whether a short answer is that there is none."""
    return short_text(text[:200]) in _NO_ANSWER


def length_in_words(text: str) -> int:
    """Words; of scripts that are written without spaces, three characters count as one."""
    unspaced = sum(1 for char in text if "\u0e00" <= char <= "\u0eff" or "\u3040" <= char <= "\u9fff")
    return max(len(text.split()), -(-unspaced // 3))


def _without_accents(text: str) -> str:
    """In other scripts a mark is a letter of its own: `и` is not `й`, and Indic vowels are marks."""
    kept: list[str] = []
    takes_off = False
    for char in unicodedata.normalize("NFD", text):
        if unicodedata.category(char) != "Mn":
            takes_off = char < "\u0400"
            kept.append(char)
        elif not takes_off:
            kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def _spaced(text: str) -> str:
    """Marks that only part words become spaces."""
    return "".join(
        char if char in _INNER or not unicodedata.category(char).startswith(("P", "Z", "C")) else " " for char in text
    )


def _trimmed(word: str) -> str:
    if word in _OPERATORS:
        return word
    start, end = 0, len(word)
    while start < end and word[start] in _INNER and word[start] not in "$€£+-−#.":
        start += 1
    while end > start and word[end - 1] in _INNER and word[end - 1] not in _KEPT_AT_EDGE:
        end -= 1
    return word[start:end] if word[start:end] not in _INNER else ""


NUMBER_WORDS = _number_words()

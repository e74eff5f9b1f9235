"""Finds private text: e-mail addresses, phone numbers, cards, IBANs, keys and tokens, and national ids where asked.

It names kinds and never keeps or shows what it found. What follows from a finding is the policy's business.

Every kind has a cheap gate in front (an `@`, enough digits, a telling prefix), so that clean text costs microseconds;
behind the gate a checksum or a kept library decides, so that version numbers, ISBNs, timestamps and UUIDs stay quiet.
All patterns have bounded repeats and start only at word borders: time is linear in the text. The slow checks (those
that ask a library) are counted; a text with hundreds of near misses is called private rather than searched on.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Final

import phonenumbers
from stdnum import get_cc_module, iban, isbn, luhn

from router.secrets_in_text import holds_secret

KINDS: Final = ("card", "email", "iban", "key", "national_id", "phone")

MOST_SLOW_CHECKS = 200
"""Slow checks of one kind that one request may cost, at up to 50 us each. Past them the answer is yes, to be safe."""


class PrivacyScanner:
    """Scans texts for private content.

    countries: ISO 3166 codes whose national ids are looked for (with a word like "SSN" near), lower or upper case.
    phone_region: ISO 3166 code of the country whose numbers count without a `+`. Raises ValueError for unknown codes.
    """

    def __init__(self, countries: tuple[str, ...] = (), phone_region: str | None = None):
        self.countries = tuple(country.lower() for country in countries)
        self.phone_region = phone_region.upper() if phone_region else None
        if self.phone_region and self.phone_region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"{phone_region!r} is not a region of phone numbers")
        ids = [national_id for country in self.countries for national_id in _ids_of(country)]
        self._id_checks = [check for _, checks in ids for check in checks]
        words = {word for words, _ in ids for word in words}
        self._id_words = _words_pattern(words) if words else None

    def scan(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The kinds found in any of the texts, sorted; empty for clean ones. Texts are not joined into one word."""
        text = _plain_digits("\n\n".join(texts))
        raw = text.encode("ascii", "replace")
        longest = _longest_run(raw)
        found = []
        if "@" in text and _has_email(text):
            found.append("email")
        if holds_secret(text, has_digits=longest > 0):
            found.append("key")
        if longest >= 7 and self._has_phone(text):
            found.append("phone")
        if longest >= 13 and _has_card(text):
            found.append("card")
        if longest and _IBAN_SHAPE.search(b" " + raw.translate(_SHAPES)) and _has_iban(text):
            found.append("iban")
        if longest and self._id_words is not None and self._has_national_id(text):
            found.append("national_id")
        return tuple(sorted(found)) if found else ()

    def _has_phone(self, text: str) -> bool:
        candidates: list[Iterator[tuple[str, str | None]]] = []
        if "+" in text or "＋" in text:
            candidates.append((match[0], None) for match in _PLUS_PHONE.finditer(text))
        if self.phone_region:
            candidates.append((number, self.phone_region) for number in _local_candidates(text))
        seen: set[str] = set()
        for group in candidates:
            for number, region in group:
                if number in seen:
                    continue
                seen.add(number)
                if len(seen) > MOST_SLOW_CHECKS or _is_phone(number, region):
                    return True
        return False

    def _has_national_id(self, text: str) -> bool:
        assert self._id_words is not None
        checked: set[str] = set()
        read = 0
        for word in self._id_words.finditer(text):
            before = text[max(read, word.start() - _WORD_REACH) : word.start()]
            after = text[word.end() : word.end() + _WORD_REACH]
            read = word.end()
            for candidate in (*_ID_SHAPE.findall(before), *_ID_SHAPE.findall(after)):
                if candidate in checked or sum(map(str.isdigit, candidate)) < 5:
                    continue
                checked.add(candidate)
                if len(checked) > MOST_SLOW_CHECKS or any(check(candidate) for check in self._id_checks):
                    return True
        return False


def known_countries() -> tuple[str, ...]:
    """Country codes (lower case) whose national ids can be looked for."""
    return tuple(sorted(_NATIONAL_IDS))


# --- gates ----------------------------------------------------------------------------------------------------------

_OTHER_DIGITS = re.compile("[٠-٩۰-۹०-९০-৯๐-๙０-９]")
_NOT_DIGITS = bytes(code for code in range(256) if chr(code) not in string.digits)
_RUNS = bytes(code if chr(code) in string.digits else ord(" ") for code in range(256))
_SEPARATORS = b" -()./?"  # `?` stands for what is not ASCII, dashes among them
_SHAPES = bytes(
    ord("0") if chr(code) in string.digits else ord("A") if chr(code) in string.ascii_letters else ord(" ")
    for code in range(256)
)
_IBAN_SHAPE = re.compile(b" AA00")  # a search for so plain a pattern is quicker than `in`


def _plain_digits(text: str) -> str:
    """The text with digits of other scripts, and spaces and hyphens that do not break, in their ASCII form."""
    if text.isascii():
        return text
    text = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2011", "-")
    if _OTHER_DIGITS.search(text):
        text = _OTHER_DIGITS.sub(lambda match: str(unicodedata.digit(match[0])), text)
    return text


def _longest_run(raw: bytes) -> int:
    """How many digits the longest run holds, with separators between them left out.

    A few passes in C, and for text without seven digits only one; a regular expression would cost fifty times as much.
    """
    digits = len(raw.translate(None, _NOT_DIGITS))
    if digits < 7:
        return digits
    return max(map(len, raw.translate(_RUNS, _SEPARATORS).split()))


# --- e-mail ---------------------------------------------------------------------------------------------------------

_AT = re.compile(r"@(?<=[\w.!#$%&'*+/=?^`{|}~-]@)(?=\w)")
_LOCAL_BACKWARDS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}")
_DOMAIN = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_MOST_ADDRESSES = 50 * MOST_SLOW_CHECKS
_FILE_ENDINGS = frozenset("css exe gif html jpeg jpg js json jsx pdf png svg ts tsx txt webp xml yaml yml".split())
"""What follows `@` in `icon@2x.png` or `pkg@next.js` is a file; none of these is a top-level domain."""


def _has_email(text: str) -> bool:
    for number, match in enumerate(_AT.finditer(text)):
        at = match.start()
        local = _LOCAL_BACKWARDS.match(text[max(0, at - 64) : at][::-1])
        domain = _DOMAIN.match(text, at + 1)
        if local and domain and _is_address(local[0][::-1], domain[0], text[domain.end() : domain.end() + 1]):
            return True
        if number > _MOST_ADDRESSES:
            return True
    return False


def _is_address(local: str, domain: str, after: str) -> bool:
    labels = domain.split(".")
    top = labels[-1]
    if any(label.startswith("-") or label.endswith("-") for label in labels):
        return False
    if local.strip(".'`*") == "" or (local.rsplit("/")[-1] == "git" and after in (":", "/")):
        return False
    return len(top) >= 2 and (top.isalpha() or top.startswith("xn--")) and top.lower() not in _FILE_ENDINGS


# --- phone ----------------------------------------------------------------------------------------------------------

_PLUS_PHONE = re.compile(r"(?<![\w+＋])[+＋]\(?\d(?:[ ().\-/\u2010-\u2015]{0,3}\d){6,14}(?!\d)")
_LOCAL_PHONE = re.compile(r"(?<![\w.,:+＋/\-])\(?\d(?:[ ().\-/]{0,3}\d){5,14}(?![\w]|[.,:\-/]\d)")
_PHONE_WORD = re.compile(
    r"(?i)phone|mobile|\bcell|\btel\b|\bcall\b|\bring\b|\btext me|whatsapp|\bfax|telefon|handy|rufnummer|anruf|rufen?\b"
    r"|téléphone|portable|teléfono|móvil|celular|telefone|cellulare|телефон|номер|звон|电话|手机|電話|携帯|전화|हाथ|फ़ोन|هاتف|جوال"
)
_NOT_PHONES = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])\b"  # a date, year first
    r"|(?:0?[1-9]|[12]\d|3[01])[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:19|20)\d\d\b"  # a date, year last
    r"|(?:\d{1,3}\.){3}\d{1,3}\b"  # an IPv4 address
    r"|\d+(?:[.]\d+){2,}\Z"  # a version
    r"|(?:19|20)\d\d\s?[-–/]\s?(?:19|20)\d\d\b"  # a span of years
)


def _local_candidates(text: str) -> Iterator[str]:
    """Numbers written as people write phone numbers: grouped or with a leading 0, or else with a telling word near."""
    for match in _LOCAL_PHONE.finditer(text):
        number = match[0]
        if _NOT_PHONES.match(number) or ("-" in number and isbn.is_valid(number)):
            continue
        before = text[max(0, match.start() - 32) : match.start()]
        if "isbn" in before.lower():
            continue
        grouped = not number.isdigit() and len(re.findall(r"\d+", number)) <= 5
        if (
            _PHONE_WORD.search(before)
            or (grouped and min(map(len, re.findall(r"\d+", number)[1:]), default=0) >= 2)
            or (number.startswith("0") and len(number) >= 9)
        ):
            yield number


def _is_phone(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


# --- card -----------------------------------------------------------------------------------------------------------

_CARD = re.compile(
    r"(?<![\w.])(?<![\d][.,])"
    r"(?:\d{13,19}"
    r"|\d{4}(?P<gap>[ -])\d{4}(?P=gap)\d{4}(?P=gap)\d{4}(?:(?P=gap)\d{3})?"
    r"|\d{4}(?P<gap2>[ -])\d{6}(?P=gap2)\d{4,5})"
    r"(?!\w|[.]\d)"
)
"""In one piece, 4-4-4-4, 4-4-4-4-3 (long), 4-6-5 (American Express) or 4-6-4 (Diners)."""

_ISSUERS: Final = (
    # (first prefix, last prefix, lengths), ISO/IEC 7812 issuer ranges in use
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("6011", "6011", (16, 19)),
    ("644", "659", (16, 19)),
    ("3528", "3589", (16, 19)),
    ("300", "305", (14,)),
    ("36", "36", (14,)),
    ("38", "39", (14, 16)),
    ("62", "62", (16, 17, 18, 19)),
    ("2200", "2204", (16,)),
    ("5018", "5018", (13, 16)),
    ("5020", "5020", (13, 16)),
    ("5038", "5038", (13, 16)),
    ("5893", "5893", (13, 16)),
    ("6304", "6304", (13, 16)),
    ("6759", "6763", (13, 16)),
    ("60", "60", (16,)),
    ("81", "82", (16,)),
    ("508", "508", (16,)),
    ("9792", "9792", (16,)),
)


def _has_card(text: str) -> bool:
    return any(_is_card(match[0]) for match in _CARD.finditer(text))


def _is_card(written: str) -> bool:
    digits = re.sub("[ -]", "", written)
    length = len(digits)
    if not any(low <= digits[: len(low)] <= high and length in lengths for low, high, lengths in _ISSUERS):
        return False
    return bool(luhn.is_valid(digits)) and len(set(digits)) > 1


# --- IBAN -----------------------------------------------------------------------------------------------------------

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,34}")
_IBAN_LENGTHS: Final = {
    item[:2]: int(item[2:])
    for item in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
        "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
        "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
        "YE30"
    ).split()
}
"""ISO 13616: how long an IBAN of each country is. Tells where it ends when words follow."""


def _has_iban(text: str) -> bool:
    for match in _IBAN.finditer(text):
        compact = re.sub(r"[ -]", "", match[0]).upper()
        length = _IBAN_LENGTHS.get(compact[:2])
        if length is not None and _is_iban(compact[:length], length):
            return True
    return False


def _is_iban(number: str, length: int) -> bool:
    """ISO 7064 mod 97-10 first, since it is quick; then the country's own structure."""
    if len(number) != length or not number.isascii():
        return False
    rearranged = number[4:] + number[:4]
    if int("".join(str(int(char, 36)) for char in rearranged)) % 97 != 1:
        return False
    return bool(iban.is_valid(number, check_country=False))


# --- national ids ---------------------------------------------------------------------------------------------------

_WORD_REACH = 48
"""How many characters before or after a telling word an id may stand."""

_ID_SHAPE = re.compile(r"(?<![\w])[A-Za-z0-9](?:[ .\-/]?[A-Za-z0-9]){4,30}(?![\w])")

_NATIONAL_IDS: Final[dict[str, tuple[str, str]]] = {
    # country: (modules of python-stdnum, telling words parted by |)
    "ar": ("dni", "dni|documento"),
    "at": ("vnr", "sozialversicherung|svnr|sv-nummer|versicherungsnummer"),
    "au": ("tfn", "tfn|tax file"),
    "be": ("nn", "rijksregister|registre national|numéro national|insz|niss"),
    "bg": ("egn", "егн|egn"),
    "br": ("cpf", "cpf"),
    "ca": ("sin", "sin|social insurance|nas"),
    "ch": ("ssn", "ahv|avs|sozialversicherung|ssn"),
    "cl": ("rut", "rut|run"),
    "cn": ("ric", "身份证|identity card|id card|resident identity"),
    "cz": ("rc", "rodné číslo|rodne cislo|rč"),
    "de": ("idnr", "steuer-id|steuerid|idnr|steueridentifikationsnummer|identifikationsnummer|tax id"),
    "dk": ("cpr", "cpr|personnummer"),
    "ee": ("ik", "isikukood"),
    "es": ("dni nie", "dni|nie|nif"),
    "fi": ("hetu", "hetu|henkilötunnus|henkilotunnus"),
    "fr": ("nir nif", "nir|sécurité sociale|securite sociale|sécu|insee|numéro fiscal"),
    "gb": ("nhs", "nhs|national insurance|nino|ni number"),
    "gr": ("amka", "αμκα|amka"),
    "hr": ("oib", "oib"),
    "id": ("nik", "nik|ktp"),
    "ie": ("pps", "pps|ppsn"),
    "il": ("idnr", "תעודת זהות|ת.ז|teudat zehut|id number"),
    "in": ("aadhaar pan", "aadhaar|aadhar|आधार|pan"),
    "is": ("kennitala", "kennitala"),
    "it": ("codicefiscale", "codice fiscale|c.f"),
    "kr": ("rrn", "주민등록번호|주민번호|rrn|resident registration"),
    "lt": ("asmens", "asmens kodas"),
    "mx": ("curp", "curp"),
    "my": ("nric", "nric|mykad|kad pengenalan"),
    "nl": ("bsn", "bsn|burgerservicenummer|sofinummer"),
    "no": ("fodselsnummer", "fødselsnummer|fodselsnummer|personnummer"),
    "nz": ("ird", "ird"),
    "pk": ("cnic", "cnic|شناختی کارڈ"),
    "pl": ("pesel", "pesel"),
    "pt": ("cc nif", "cartão de cidadão|cartao de cidadao|nif|contribuinte"),
    "ro": ("cnp", "cnp"),
    "ru": ("inn", "инн|inn"),
    "se": ("personnummer", "personnummer|personal number"),
    "si": ("emso", "emšo|emso"),
    "sk": ("rc", "rodné číslo|rodne cislo|rč"),
    "th": ("pin", "บัตรประชาชน|citizen id|national id"),
    "tr": ("tckimlik", "kimlik|tckn|t.c."),
    "ua": ("rntrc", "рнокпп|ідентифікаційний код|іпн"),
    "us": ("ssn itin", "ssn|social security|itin|taxpayer"),
    "za": ("idnr", "id number|identity number|identiteitsnommer"),
}

_NINO = re.compile(r"(?i)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]")
"""A British national insurance number has no checksum and no module; its shape and the word near must do."""


@cache
def _ids_of(country: str) -> tuple[tuple[tuple[str, ...], tuple[Callable[[str], bool], ...]], ...]:
    if country not in _NATIONAL_IDS:
        raise ValueError(f"{country!r} is not a country whose national ids are known")
    modules, words = _NATIONAL_IDS[country]
    checks = [partial(_valid_somewhere, get_cc_module(country, module).is_valid) for module in modules.split()]
    if country == "gb":
        checks.append(partial(_valid_somewhere, lambda text: _NINO.fullmatch(text) is not None))
    return ((tuple(words.split("|")), tuple(checks)),)


def _valid_somewhere(is_valid: Callable[[str], bool], candidate: str) -> bool:
    """Whether the candidate, or it without the words that stand before or after, is an id."""
    parts = candidate.split(" ")
    return any(
        is_valid(" ".join(parts[start:end]))
        for start in range(min(len(parts), 6))
        for end in range(len(parts), max(start, len(parts) - 6), -1)
        if sum(map(str.isdigit, "".join(parts[start:end]))) >= 5
    )


def _words_pattern(words: set[str]) -> re.Pattern[str]:
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(r"(?i)(?<!\w)(?:" + "|".join(map(re.escape, ordered)) + r")(?!\w)")

"""What counts as private, what does not, and that looking costs time in proportion to the text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.privacy import KINDS, PrivacyScanner, known_countries

PLAIN = PrivacyScanner()
GERMAN = PrivacyScanner(("DE",), "DE")
MANY = PrivacyScanner(("us", "gb", "de", "nl", "fr", "es", "it", "pl", "se", "br", "in", "kr", "cn"), "US")


def luhn_digit(digits: str) -> str:
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(reversed(digits)))
    return str(-total % 10)


FOUND = [
    ("email", "mail me: jane.doe+x@example.co.uk"),
    ("email", "用户@例子.广告 请联系"),
    ("email", "Напишите на иван@почта.рф, пожалуйста"),
    ("email", "<o'brien@mail.example.ie>"),
    ("email", '{"to":"a.b@c-d.example","cc":[]}'),
    ("phone", "call +49 30 901820 tomorrow"),
    ("phone", "+44 (0)20 7946 0958"),
    ("phone", "(+1) 212-555-0123 is mine"),
    ("phone", "tel:+33123456789"),
    ("phone", "звоните +7 916 123-45-67"),
    ("phone", "اتصل على +٩٦٦ ٥٠ ١٢٣ ٤٥٦٧"),
    ("phone", "電話 ＋81 3-1234-5678"),
    ("card", "4111 1111 1111 1111 12/27 123"),
    ("card", "my amex is 378282246310005"),
    ("card", "3782 822463 10005"),
    ("card", "5555-5555-5555-4444"),
    ("card", "mir 2200 0000 0000 0004, спасибо"),
    ("card", "४१११ ११११ ११११ ११११"),
    ("card", "unionpay 6240008631401148"),
    ("iban", "DE89 3704 0044 0532 0130 00 please"),
    ("iban", "pay GB29NWBK60161331926819."),
    ("iban", "IBAN:NO9386011117947"),
    ("iban", "fr14 2004 1010 0505 0001 3m02 606"),
    ("key", "sk-proj-" + "abc123def456ghi789jkl"),
    ("key", "export K=" + "AKIA" + "IOSFODNN7EXAMPLE"),
    ("key", "ghp_" + "a1" * 18),
    ("key", "xoxb-" + "1234567890-abcdef"),
    ("key", "AIza" + "Sy" + "b2" * 16 + "c"),
    ("key", "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "abcdefghijk"),
    ("key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
    ("key", "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("key", "Authorization: Bearer abcdef1234567890abcdef"),
    ("key", "password: hunter2"),
    ("key", "my password is Tr0ub4dor&3"),
    ("key", 'db_password = "correcthorse"'),
    ("key", "postgres://bob:s3cr3t@db.internal/x"),
    ("key", "пароль: qwerty12"),
    ("key", "密码是 Zx81qwerty"),
    ("key", "パスワードは hunter22"),
    ("key", "api_key=abcd1234efgh5678"),
    ("key", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"),
]

QUIET = [
    "@app.route('/x') def index(): ...",
    "npm i lodash@4.17.21 react@next.js",
    "icon@2x.png and icon@3x.png",
    "git clone git@github.com:foo/bar.git",
    "matrices: a@b, c @ d.T",
    "ping me @jane on the forum",
    "x+12345678 = y, 1 + 2 + 3 = 6, +100 points",
    "UTC+0100, 2024+12345678",
    "Windows 10.0.19041.1234, Chrome/120.0.6099.109",
    "ISBN 978-3-16-148410-0 and ISBN 0-306-40615-2",
    "0-306-40615-2",
    "unix 1700000000, in ms 1700000000123, in us 1700000000123456, in ns 1700000000123456789",
    "550e8400-e29b-41d4-a716-446655440000",
    "12345678-1234-1234-1234-123456789012",
    "0.4111111111111111 and 3.14159265358979323846",
    "2024-01-15 12:30:45, 15.01.2024, 01/15/2024, 2024-01-15T12:30:45.123456Z",
    "192.168.100.200 and 2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "1234567890123456",
    "4111111111111112 fails its checksum",
    "0x4111111111111111",
    "2**64 = 18446744073709551616",
    "password: str = Field(...)",
    "password = getpass()",
    "password: ********",
    "token: string; secret: string",
    "def f(token=None, api_key=os.environ['KEY1'])",
    "api_key: ${OPENAI_API_KEY2}",
    "reset my password: how do I do that?",
    "The secret is consistency. My password is not working since 2023.",
    "sk-fading-circle-container-large is a CSS class",
    "the bearer of this letter, basic instruction follows",
    "max_tokens: 100000, tokens used: 123456",
    "DE89 is not a bank, GB29 neither",
    "Order number 1234567 was shipped; article 12.345.678",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "1 234 567 890 people, 10 000 000 km",
    "Fibonacci: 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987",
    "",
    "\x00\ud800 odd text \u202e",
]


@pytest.mark.parametrize(("kind", "text"), FOUND)
def test_private_text_is_found(kind: str, text: str) -> None:
    assert kind in PLAIN.scan([text])


@pytest.mark.parametrize("text", QUIET)
def test_what_only_looks_private_stays_quiet(text: str) -> None:
    assert PLAIN.scan([text]) == ()


@pytest.mark.parametrize(
    ("scanner", "text"),
    [
        (GERMAN, "ruf an: 0176 12345678"),
        (GERMAN, "Telefon 030 901820"),
        (PrivacyScanner(phone_region="US"), "(212) 555-0123"),
        (PrivacyScanner(phone_region="US"), "phone 2125550123"),
        (PrivacyScanner(phone_region="IN"), "mobile: 98765 43210"),
    ],
)
def test_phone_numbers_of_the_configured_region_need_no_plus(scanner: PrivacyScanner, text: str) -> None:
    assert scanner.scan([text]) == ("phone",)
    assert PLAIN.scan([text]) == ()


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15 and 15.01.2024 and 1914-1918",
        "192.168.100.200",
        "0-306-40615-2",
        "10.0.19041.1234",
        "1700000000",
        "we sold 2125550 of them",
        "12,345,678.90",
    ],
)
@pytest.mark.parametrize("region", ["DE", "US", "GB", "DK", "JP"])
def test_a_region_does_not_make_dates_and_versions_phone_numbers(region: str, text: str) -> None:
    assert PrivacyScanner(phone_region=region).scan([text]) == ()


@pytest.mark.parametrize(
    ("country", "word", "number"),
    [
        ("us", "My SSN is", "536-90-4399"),
        ("gb", "NHS number", "943 476 5919"),
        ("gb", "her NI number:", "AB123456C"),
        ("de", "Steuer-ID", "36 574 261 809"),
        ("nl", "bsn", "111222333"),
        ("fr", "numéro de sécurité sociale :", "2 95 10 99 126 111 93"),
        ("es", "DNI", "54362315K"),
        ("it", "codice fiscale", "RCCMNL83S18D969H"),
        ("pl", "PESEL", "44051401359"),
        ("br", "CPF:", "390.533.447-05"),
        ("in", "Aadhaar no.", "2341 2341 2346"),
        ("cn", "身份证", "11010519491231002X"),
    ],
)
def test_national_ids_count_only_where_asked_for_and_with_a_word_near(country: str, word: str, number: str) -> None:
    scanner = PrivacyScanner((country,))
    assert "national_id" in scanner.scan([f"{word} {number}, thanks"])
    assert "national_id" in scanner.scan([f"{number} ({word.rstrip(':')})"])
    assert "national_id" not in scanner.scan([f"{word} {'and so on ' * 8} {number}"])
    assert "national_id" not in PLAIN.scan([f"{word} {number}"])


def test_a_telling_word_in_one_string_covers_the_id_in_the_next() -> None:
    assert PrivacyScanner(("us",)).scan(["ssn", "536-90-4399"]) == ("national_id",)


def test_unknown_countries_and_regions_are_refused() -> None:
    with pytest.raises(ValueError, match="xx"):
        PrivacyScanner(("xx",))
    with pytest.raises(ValueError, match="ZZ"):
        PrivacyScanner(phone_region="ZZ")


@pytest.mark.parametrize("country", known_countries())
def test_every_known_country_can_be_scanned_for(country: str) -> None:
    assert PrivacyScanner((country,)).scan(["hello, 12345 and ssn id number 67890"]) == ()


@given(st.text(max_size=300))
def test_any_text_gives_sorted_kinds_and_never_an_error(text: str) -> None:
    kinds = MANY.scan([text])
    assert list(kinds) == sorted(set(kinds))
    assert set(kinds) <= set(KINDS)


@given(st.integers(10**14, 10**15 - 1), st.sampled_from(["", " ", "-"]))
def test_every_visa_number_is_found_however_it_is_grouped(body: int, gap: str) -> None:
    digits = f"4{body % 10**14:014d}"
    digits += luhn_digit(digits)
    written = gap.join(digits[i : i + 4] for i in range(0, 16, 4))
    assert "card" in PLAIN.scan([f"pay with {written}, thanks"])


@given(st.integers(0, 10**10 - 1), st.integers(1, 9))
def test_one_wrong_digit_unmakes_a_card(body: int, slip: int) -> None:
    digits = f"41111{body:010d}"
    digits += luhn_digit(digits)
    wrong = digits[:7] + str((int(digits[7]) + slip) % 10) + digits[8:]
    assert "card" not in PLAIN.scan([wrong])


@given(st.lists(st.sampled_from([text for _, text in FOUND] + QUIET), max_size=6))
def test_clean_texts_around_never_hide_a_finding(texts: list[str]) -> None:
    apart = {kind for text in texts for kind in PLAIN.scan([text])}
    assert apart <= set(PLAIN.scan(texts))


def test_a_finding_at_the_end_of_a_long_text_is_found() -> None:
    random.seed(7)
    prose = " ".join(random.choice("some plain words of no interest at all".split()) for _ in range(40_000))
    assert PLAIN.scan([prose + " a.b@example.org"]) == ("email",)


def test_a_flood_of_near_misses_is_called_private_rather_than_searched_on() -> None:
    flood = " ".join(f"+1 {n:07d}" for n in range(1000, 2000))
    assert PLAIN.scan([flood]) == ("phone",)
    assert PLAIN.scan([flood[:200]]) == ()

"""Words and letters by which one language is told from another. Data and its index; `languages` does the telling."""

from __future__ import annotations

from functools import cache
from typing import Final

FUNCTION_WORDS: Final[dict[str, str]] = {
    "en": """
        the of and to is in that it you for on with are this be have from what how can your me my i a please an does
        do was
    """,
    "es": """
        el la los las de que y en un una por con para es como del se qué cómo mi tu está más al lo sí hola gracias
    """,
    "fr": """
        le la les des de et un une est que pour dans en du je vous ce il au qui sur pas avec mon ma merci bonjour l
        d j moi
    """,
    "de": """
        der die das und ist ein eine nicht zu den mit für von auf ich du wie was im dem mir es bitte danke einen
        mich kann
    """,
    "it": """
        il lo gli di che è un una per con non sono come del della mi questo nel al ciao grazie cosa più i ho dei
    """,
    "pt": """
        o os as de que e um uma para com não é em do da no na por como mais você meu minha obrigado obrigada olá
        isso eu
    """,
    "nl": """
        de het een en van ik is dat op te niet zijn voor met je mijn wat hoe bedankt deze kun naar om aan
    """,
    "pl": """
        i w na z się nie to jest do że jak co dla mi czy po za od o dziękuję proszę oraz który
    """,
    "tr": """
        bir ve bu için ile ne mi mı da de nasıl çok var bana olan teşekkürler merhaba gibi lütfen nedir
    """,
    "sv": """
        och att det en som är på för jag med av inte till hur vad kan mig ett den tack hej du
    """,
    "id": """
        yang dan di ini itu dengan untuk apa saya dari adalah tidak ke dalam bagaimana tolong terima kasih buat
    """,
    "vi": """
        là và của cho một tôi có không được những các này trong với bạn cảm ơn hãy như thế nào về
    """,
    "ro": """
        și este în pe cu nu ce mai care pentru un o la din cum mulțumesc salut sunt să
    """,
    "cs": """
        je se na že jak co pro ale jsem jsou když děkuji ahoj prosím mi v a to který
    """,
    "ru": """
        и в не на что с как по это мне я для из у к но так за от спасибо привет ли он а о
    """,
    "uk": """
        і в не на що з як це мені я для із у та але за від дякую привіт чи до й є мене
    """,
}
"""Votes for a language. A word may vote for several."""

LATIN_MARKS: dict[str, str] = {
    "ñ¿¡": "es",
    "ß": "de",
    "ãõ": "pt",
    "łęśż": "pl",
    "ğış": "tr",
    "åä": "sv",
    "ơưđạ": "vi",
    "ěř": "cs",
}
"""Letters that few other languages write."""


@cache
def language_votes() -> dict[str, tuple[int, ...]]:
    """Function word -> the languages (as positions in FUNCTION_WORDS) that it speaks for."""
    votes: dict[str, tuple[int, ...]] = {}
    for position, entries in enumerate(FUNCTION_WORDS.values()):
        for word in dict.fromkeys(entries.split()):
            votes[word] = (*votes.get(word, ()), position)
    return votes

"""Asks that belong to no option in particular, of our own writing: what a selector should abstain from by default.

They stand for the rest of the world where options are too few, or too far apart, to stand for it themselves.
"""

from __future__ import annotations

from typing import Final

STRANGERS: Final[tuple[str, ...]] = (
    "hello, how are you?",
    "thank you, that was helpful",
    "what is the capital of Australia?",
    "translate this sentence into French",
    "write a short poem about the sea",
    "tell me a joke",
    "how far away is the moon?",
    "summarise this article in three sentences",
    "what should I cook tonight?",
    "who won the football world cup in 2014?",
    "make this e-mail sound more polite",
    "what does photosynthesis mean?",
    "plan a weekend in Rome for two",
    "I cannot sleep, what can I do?",
    "how do I train for a marathon?",
    "write a function that reverses a string",
    "what is 17 percent of 240?",
    "is it going to rain tomorrow?",
    "explain inflation to a child",
    "suggest a name for my cat",
    "what are the symptoms of flu?",
    "when did the Second World War end?",
    "write a cover letter for a job as a nurse",
    "how do I remove red wine from a carpet?",
    "compare electric cars and petrol cars",
    "which book should I read next?",
    "what time is it in Tokyo?",
    "draft an invitation to a birthday party",
    "why is the sky blue?",
    "fix the grammar of this paragraph",
    "wie wird das Wetter morgen?",
    "¿cómo se hace una tortilla de patatas?",
    "quel est le sens de la vie ?",
    "как приготовить борщ?",
    "今天星期几？",
)

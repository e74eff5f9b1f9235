"""How refusals begin, in the languages that are asked most: a list of our own, matched at the very beginning only.

Phrases are whole enough to leave alone what only sounds alike ("I cannot recommend it enough", "I'm sorry to hear").
"""

from __future__ import annotations

import re

LONGEST_CHARS = 700
"""A refusal is short; whoever goes on for longer has answered something."""

_LOOKED_AT_CHARS = 240

_APOLOGIES = """
i'm sorry but|i am sorry but|sorry but|i'm sorry|i am sorry|sorry|i apologize but|i apologise but|i apologize
|i apologise|my apologies but|my apologies|apologies but|apologies|unfortunately|regrettably|i'm afraid
|i am afraid|as an ai language model|as an ai assistant|as an ai model|as an ai|as a language model
|as a large language model|es tut mir leid aber|es tut mir leid|tut mir leid aber|tut mir leid
|entschuldigung aber|entschuldigung|leider|als ki|als ki-modell|als sprachmodell|je suis désolé mais
|je suis désolée mais|je suis désolé|je suis désolée|désolé mais|désolé|désolée|malheureusement|en tant qu'ia
|en tant que modèle de langage|lo siento pero|lo siento|lamento pero|lamentablemente|desafortunadamente
|como modelo de lenguaje|desculpe mas|desculpe|sinto muito mas|sinto muito|lamento mas|lamento|infelizmente
|como modelo de linguagem|mi dispiace ma|mi dispiace|purtroppo|het spijt me maar|het spijt me|helaas|sorry maar
|przykro mi ale|przykro mi|przepraszam ale|przepraszam|niestety|извините но|извините|простите но|простите
|к сожалению|мне жаль но|вибачте але|вибачте|на жаль|omlouvám se ale|omlouvám se|je mi líto ale|bohužel|tyvärr
|jag är ledsen men|desværre|beklager men|beklager|valitettavasti|pahoittelen mutta|üzgünüm ama|üzgünüm|maalesef
|sajnálom de|sajnálom|sajnos|îmi pare rău dar|îmi pare rău|din păcate|λυπάμαι αλλά|λυπάμαι|δυστυχώς|عذرًا|عذرا
|آسف|للأسف|أعتذر|מצטער|מצטערת|לצערי|माफ़ कीजिए|क्षमा करें|मुझे खेद है|申し訳ありませんが|申し訳ございませんが
|すみませんが|残念ながら|죄송합니다만|죄송하지만|죄송합니다|유감스럽게도|很抱歉|抱歉|对不起|對不起|不好意思
|xin lỗi nhưng|xin lỗi|rất tiếc|maaf tetapi|maaf|ขออภัย|ขอโทษ
"""

_PHRASES = """
i can't help|i cannot help|i can not help|i can't assist|i cannot assist|i can't provide|i cannot provide
|i can't answer|i cannot answer|i can't comply|i cannot comply|i can't fulfill|i cannot fulfill|i can't fulfil
|i cannot fulfil|i can't do that|i cannot do that|i can't create|i cannot create|i can't generate
|i cannot generate|i can't discuss|i cannot discuss|i can't share|i cannot share|i can't support
|i cannot support|i can't engage|i cannot engage|i can't write|i cannot write|i can't give|i cannot give
|i can't offer|i cannot offer|i can't complete|i cannot complete|i can't process|i cannot process|i can't access
|i cannot access|i can't browse|i cannot browse|i can't continue|i cannot continue|i can't participate
|i cannot participate|i can't respond|i cannot respond|i can't say|i cannot say|i can't tell you
|i cannot tell you|i could not find an answer|i couldn't find an answer|i'm unable to|i am unable to
|i'm not able to|i am not able to|i'm not comfortable|i am not comfortable|i won't be able|i will not be able
|i won't provide|i will not provide|i won't help|i will not help|i don't have access|i do not have access
|i don't have the ability|i do not have the ability|i don't have enough information
|i do not have enough information|i don't have information|i do not have information
|i don't have the information|i must decline|i have to decline|i decline to|i'm not allowed|i am not allowed
|i'm not permitted|i am not permitted|i'm not programmed|i don't know|i do not know|i have no information
|that's not something i can|that is not something i can|this request violates|your request violates
|i'm just an ai|i am just an ai|can't help with|cannot assist with|ich kann ihnen dabei nicht
|ich kann dir dabei nicht|ich kann dabei nicht|ich kann ihnen nicht|ich kann dir nicht|ich kann dir leider nicht
|ich kann ihnen leider nicht|ich kann diese anfrage nicht|ich kann diese frage nicht|ich kann das nicht
|ich kann nicht helfen|ich kann leider|kann ich dir nicht|kann ich ihnen nicht|kann ich dabei nicht
|kann ich nicht helfen|kann ich diese|kann ich das nicht|ich bin nicht in der lage|ich darf nicht|ich darf keine
|ich habe keinen zugriff|habe ich keinen zugriff|ich weiß es nicht|ich weiß nicht|ich habe keine informationen
|je ne peux pas|je ne suis pas en mesure|je ne puis|je ne suis pas autorisé|je n'ai pas accès|je ne sais pas
|je n'ai pas d'informations|il m'est impossible|no puedo ayudar|no puedo ayudarte|no puedo ayudarle
|no puedo proporcionar|no puedo cumplir|no puedo responder|no puedo asistir|no puedo generar|no puedo crear
|no puedo hacer|no puedo dar|no puedo acceder|no soy capaz de|no estoy en condiciones|no tengo acceso
|no tengo información|no me es posible|no lo sé|não posso ajudar|não posso fornecer|não posso responder
|não posso atender|não posso criar|não posso gerar|não consigo ajudar|não consigo responder|não sou capaz
|não tenho acesso|não tenho informações|não sei|non posso aiutar|non posso fornire|non posso rispondere
|non posso soddisfare|non posso creare|non posso assister|non sono in grado|non ho accesso|non ho informazioni
|non lo so|ik kan je niet|ik kan u niet|ik kan niet helpen|ik kan hier niet|ik kan dat niet|kan ik je niet
|kan ik u niet|ik ben niet in staat|ik heb geen toegang|ik weet het niet|nie mogę pomóc|nie mogę odpowiedzieć
|nie mogę udzielić|nie mogę dostarczyć|nie mogę spełnić|nie jestem w stanie|nie mam dostępu|nie wiem
|я не могу помочь|я не могу предоставить|я не могу ответить|я не могу выполнить|не могу помочь|не могу ответить
|не могу предоставить|я не в состоянии|у меня нет доступа|я не знаю|я не можу допомогти|не можу допомогти
|я не можу надати|я не можу відповісти|у мене немає доступу|nemohu pomoci|nemohu vám|nemohu poskytnout
|nemohu odpovědět|nejsem schopen|nemám přístup|nevím|jag kan inte hjälpa|jag kan inte svara|jag kan inte ge
|kan jag inte hjälpa|jag har inte tillgång|jag vet inte|jeg kan ikke hjelpe|jeg kan ikke hjælpe
|jeg kan ikke svare|jeg kan ikke gi|jeg kan ikke give|jeg har ikke tilgang|jeg har ikke adgang|jeg vet ikke
|jeg ved ikke|en voi auttaa|en pysty auttamaan|en voi vastata|en pysty vastaamaan|minulla ei ole pääsyä|en tiedä
|bu konuda yardımcı olamam|yardımcı olamam|yardımcı olamıyorum|bu isteği yerine getiremem|cevap veremem
|bilmiyorum|nem tudok segíteni|nem tudok válaszolni|nem segíthetek|nem áll módomban|nem tudom|nu pot să ajut
|nu te pot ajuta|nu vă pot ajuta|nu pot răspunde|nu pot oferi|nu am acces|nu știu|δεν μπορώ να βοηθήσω
|δεν μπορώ να σας|δεν μπορώ να απαντήσω|δεν είμαι σε θέση|δεν έχω πρόσβαση|δεν γνωρίζω|لا أستطيع مساعد
|لا يمكنني مساعد|لا أستطيع تقديم|لا يمكنني تقديم|لا أستطيع الإجابة|لا يمكنني الإجابة|لا يمكنني المساعدة
|لا أستطيع المساعدة|لا أعرف|ليس لدي معلومات|איני יכול לעזור|אני לא יכול לעזור|אינני יכול לעזור|איני יכול לענות
|אני לא יודע|मैं इसमें मदद नहीं|मैं आपकी मदद नहीं|मैं सहायता नहीं|मैं यह नहीं कर सकता|मैं इसका उत्तर नहीं
|मुझे नहीं पता|お手伝いできません|お答えできません|お応えできません|ご要望にはお応え|そのご要望には
|そのリクエストには|対応できません|提供できません|それはできません|お手伝いすることができません|回答できません
|分かりません|わかりません|도와드릴 수 없|도움을 드릴 수 없|답변할 수 없|답변드릴 수 없|제공할 수 없|그 요청은
|해당 요청|요청하신 내용은|모르겠습니다|我不能帮助|我无法帮助|我無法幫助|我不能协助|我无法协助|我無法協助
|我无法提供|我無法提供|我不能提供|我无法回答|我無法回答|我不能回答|我无法满足|我不能满足|我无法完成|无法提供
|無法提供|无法回答|無法回答|无法协助|無法協助|作为一个ai语言模型|作为ai|我不知道|tôi không thể giúp
|tôi không thể cung cấp|tôi không thể trả lời|tôi không thể hỗ trợ|tôi không biết|saya tidak dapat membantu
|saya tidak bisa membantu|saya tidak dapat memberikan|saya tidak dapat menjawab|saya tidak tahu|ฉันไม่สามารถช่วย
|ผมไม่สามารถช่วย|ไม่สามารถช่วย|ไม่สามารถให้|ไม่สามารถตอบ|ไม่ทราบ
"""


_BETWEEN = re.compile(r"[\s,.;:!?…—–\-、。，！？،؛؟।·*_>#\"“”„«»¿¡]+")
_GERMAN = (
    r"(?:ich kann|kann ich) (?:\w+ ){0,5}?(?:nicht|keine) (?:\w+ ){0,4}?"
    r"(?:helfen|weiterhelfen|beantworten|erfüllen|bereitstellen|geben|erstellen|tun|unterstützen)"
)
"""The verb that says what cannot be done stands last."""


def _plain(text: str) -> str:
    return _BETWEEN.sub(" ", text.replace("’", "'").casefold()).strip()


def _alternatives(listed: str) -> str:
    """Longest first, so that a phrase is never cut short by another that begins it."""
    phrases = {_plain(phrase) for phrase in listed.split("|")} - {""}
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))


_BEGINS = re.compile(
    rf"(?:(?:{_alternatives(_APOLOGIES)}) ?){{0,3}}"
    rf"(?P<phrase>(?:{_alternatives(_PHRASES)})(?! (?:but|enough)\b)|{_GERMAN})"
)


def refuses(text: str, question: str = "") -> bool:
    """Whether a text refuses, or says that it does not know. question: a refusal that stands there is being quoted."""
    if not text or len(text) > LONGEST_CHARS or "```" in text:
        return False
    match = _BEGINS.match(_plain(text[:_LOOKED_AT_CHARS]))
    return match is not None and match["phrase"] not in _plain(question[:4000])

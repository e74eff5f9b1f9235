"""What the options of `bench/selector.py` are described as: forty intents of banking77, in words of our own.

Of the twenty in DEVELOPMENT every choice about the selector was made; those in TESTED were only measured.
"""

from __future__ import annotations

TESTED: dict[str, str] = {
    "activate_my_card": "Turning on a new bank card so that it can be used for the first time.",
    "cancel_transfer": "Stopping or taking back a money transfer that was sent by mistake or is no longer wanted.",
    "card_about_to_expire": "What happens when a card runs out soon, and how the next one is ordered before that.",
    "card_not_working": "The physical card fails everywhere and the customer wants to know what is wrong with it.",
    "card_swallowed": "A cash machine kept the card and did not give it back.",
    "change_pin": "Choosing another PIN for a card, and where that can be done.",
    "compromised_card": "Somebody else may be using the card or its details; the customer fears fraud.",
    "exchange_rate": "Which rate is used when money is changed into another currency, and where the rate comes from.",
    "get_disposable_virtual_card": "How to get a virtual card that is used once and then thrown away.",
    "get_physical_card": "Where to find the PIN of a physical card, or how a customer who has none gets it.",
    "order_physical_card": "Ordering a real plastic card: how, what it costs, where it is sent.",
    "pending_card_payment": "A payment by card still shows as pending and has not gone through.",
    "pending_transfer": "A transfer to another account is still pending and has not arrived.",
    "supported_cards_and_currencies": "Which kinds of cards and currencies can put money into the account.",
    "terminate_account": "Closing or deleting the account for good.",
    "top_up_by_card_charge": "Whether a fee is taken for topping up with a debit or credit card.",
    "transfer_into_account": "How to move money from another bank into this account.",
    "verify_my_identity": "How a customer proves who they are: steps and documents of the identity check.",
    "verify_source_of_funds": "Where the money in the account came from, and how a customer can show that.",
    "why_verify_identity": "Why the bank wants proof of identity at all, and what happens without it.",
}

DEVELOPMENT: dict[str, str] = {
    "age_limit": "How old somebody must be to open an account, and accounts for children.",
    "balance_not_updated_after_bank_transfer": "A bank transfer was made; the balance does not show it yet.",
    "beneficiary_not_allowed": "A transfer is refused because the recipient is not allowed or cannot be added.",
    "card_payment_not_recognised": "A card payment on the statement that the customer did not make or does not know.",
    "declined_card_payment": "A payment by card in a shop or online was declined.",
    "declined_cash_withdrawal": "A cash machine refused to give money.",
    "declined_transfer": "A transfer to somebody was declined by the bank.",
    "direct_debit_payment_not_recognised": "A direct debit was taken that the customer never set up.",
    "failed_transfer": "A transfer did not work and ended in an error.",
    "getting_spare_card": "Getting a second card for the same account, also for family members.",
    "lost_or_stolen_card": "The card was lost or stolen and must be blocked.",
    "lost_or_stolen_phone": "The phone with the app on it is gone, and the account must be kept safe.",
    "passcode_forgotten": "The customer forgot the passcode of the app and cannot log in.",
    "pending_cash_withdrawal": "A cash withdrawal still shows as pending.",
    "pending_top_up": "A top-up is pending and the money is not there yet.",
    "receiving_money": "Getting paid into the account: salary, and in which currencies.",
    "top_up_by_cash_or_cheque": "Paying cash or a cheque into the account.",
    "transaction_charged_twice": "The same purchase was taken from the account two times.",
    "transfer_timing": "How long a transfer takes until it arrives.",
    "wrong_amount_of_cash_received": "The cash machine paid out less or more than was asked for.",
}

"""The HTTP face of the gateway: one file for each dialect or room, each translating to and from our own nouns."""

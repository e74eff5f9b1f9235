"""The judge of Signalbox: text in, assessment out. It knows no HTTP, Redis, SQL or provider.

This front door imports nothing; take what you need from the module that owns it.
"""

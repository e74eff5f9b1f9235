"""A client for HTTP/1.1 (RFC 9112) with just what the relay needs: a POST out, an answer in pieces, kept connections.

It follows nothing, retries nothing, keeps no cookies and asks no environment for proxies. What answers mean is not its
business. A general client costs several times as much CPU a call; `bench/relay.py` has both.
"""

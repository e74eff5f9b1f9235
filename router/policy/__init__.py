"""The policy file: read, checked, compiled, reloaded, and asked who may and who should answer."""

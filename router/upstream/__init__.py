"""How an answer is fetched from whoever serves a model."""

"""A rehearsal: what the learning loop would be worth on recorded outcomes, through the real gateway, at no cost."""

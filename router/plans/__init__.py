"""How a decision is carried out. A new plan is a new file here; the pipeline does not change."""

"""Server-rendered pages over the same reports as `/api`."""

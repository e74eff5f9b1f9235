"""What happened, written down: one row for each request, and what is read from the rows."""

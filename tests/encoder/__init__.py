"""What needs sentence-transformers: `make encoder-test` runs it where that is installed; collected nowhere else."""

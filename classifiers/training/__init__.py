"""Making and measuring classifiers. scikit-learn lives here, and nothing here is imported while serving."""

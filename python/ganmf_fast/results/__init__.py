"""Results of experiments: tables, charts, documents, run folders."""

"""Files, standard input and the SQLite store."""

"""A live trading daemon for many symbols at once."""

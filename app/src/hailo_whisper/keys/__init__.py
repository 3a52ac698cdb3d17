"""The API keys: the file that holds them, who a key belongs to, and how often its owner may come."""

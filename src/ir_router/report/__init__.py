"""The report about a case: its content, its page and the proof that it was not changed. Pure."""

"""`make proof`: test the project's claims on the real code (crashes, faults, load, hostile input, leaks)."""

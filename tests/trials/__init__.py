"""The in-process simulator, the crash proof and the bench."""

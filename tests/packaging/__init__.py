"""The built files: the zip, the wheel, the release, and their imports at start-up."""

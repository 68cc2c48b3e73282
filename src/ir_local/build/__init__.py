"""Builds the zip that the functions run: the release for Lambda, and one for the local cloud.

Start reading at `package.build_package`; `python -m ir_local.build --help` is the command.
"""

"""AWS on one machine: the emulator and its patches, and the launcher of the complete local cloud.

Start reading at `launcher.LocalCloud`. The command is `python -m ir_sandbox.cloud up`. This module imports nothing,
because `ministack_patches` runs in the emulator's own virtual environment.
"""

"""AWS on one machine: the emulator, the launcher of the whole local cloud, and what was changed in the emulator.

Start reading at `launcher.LocalCloud`; `python -m ir_local.cloud up` is the command. This module imports nothing,
because `ministack_patches` below it runs in the emulator's own virtual environment.
"""

"""Ministack with the gaps closed that stand between it and our Terraform root; runs in the emulator's environment.

Only the standard library, ministack and what ministack depends on can be imported here. Each module closes the gaps of
one service and says what AWS does, and where that is written.
"""

"""Patches for ministack that the project's Terraform root needs; they run in the emulator's environment.

These modules can import only the standard library, ministack and its dependencies. Each module patches one service
and cites the AWS documentation of the emulated behaviour.
"""

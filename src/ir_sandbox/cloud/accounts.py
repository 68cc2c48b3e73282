"""The organisation of the emulator. Both the emulator and this project's processes import this module."""

ORGANIZATION_ID = "o-localcloud1"

ACCOUNTS = {"000000000000": "security", "222222222222": "shop-prod"}
"""The names of the accounts by their ids. The first one is the management account and the hub."""

HUB, MEMBER = ACCOUNTS

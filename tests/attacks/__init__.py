"""Attacks of the security review. Each test makes the attack; `docs/security.md` names the control that stops it."""

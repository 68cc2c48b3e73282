"""The sub-command policies: print or write the IAM policies of a role."""

from __future__ import annotations

import argparse
import json

from ir_operator import terminal
from ir_operator.policies.rendering import policies


def execute_command(options: argparse.Namespace) -> int:
    """Print the documents, or write one file for each, and return 0.

    Raises:
        CommandError: The prefix or the key is invalid, or there are several documents and no folder for them.
    """
    documents = policies(options.role, options.prefix, options.region, options.key)
    if options.output is None:
        # One document is valid input for `aws iam create-policy`. Several form a JSON list.
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
        return 0
    options.output.mkdir(parents=True, exist_ok=True)
    for number, document in enumerate(documents, 1):
        part = f"-{number}" if len(documents) > 1 else ""
        path = options.output / f"{options.prefix}-{options.role}{part}.json"
        path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        terminal.line("ok", str(path))
    return 0

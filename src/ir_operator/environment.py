"""The environment variables of the programs that a command starts: only those that the program needs.

A provider of Terraform or a build tool that someone manipulated cannot read other credentials of the operator there.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

EXTRA = "DEPLOY_ENVIRONMENT"
"""The variable with further names for Terraform, separated by commas: for example those of the state's backend."""

_ANY = (
    "HOME",
    "LANG",
    "LC_*",
    "LOGNAME",
    "NO_COLOR",
    "PATH",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_*",
    # The network: proxies and certification authorities.
    "*_PROXY",
    "*_proxy",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)
_OF_TERRAFORM = ("AWS_*", "CHECKPOINT_DISABLE", "TFENV_*", "TF_*")
_OF_BUILD = ("PYENV_*", "SOURCE_DATE_EPOCH", "UV_*")
_OF_GIT = ("GIT_*",)


def for_terraform() -> dict[str, str]:
    """Return the variables for Terraform and its providers."""
    named = [name.strip() for name in os.environ.get(EXTRA, "").split(",") if name.strip()]
    return _only(*_ANY, *_OF_TERRAFORM, *named)


def for_build() -> dict[str, str]:
    """Return the variables for uv, Python and the build. They contain no credentials of AWS or Slack."""
    return _only(*_ANY, *_OF_BUILD)


def for_git() -> dict[str, str]:
    """Return the variables for git."""
    return _only(*_ANY, *_OF_GIT)


def _only(*patterns: str) -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if any(fnmatchcase(name, pattern) for pattern in patterns)
    }

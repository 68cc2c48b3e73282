"""The Web API: one module for each family of methods."""

from ir_sandbox.slack.web_api import bookmarks, chat, conversations, files, history, membership, team, users, views
from ir_sandbox.slack.web_api.registry import METHODS, Method

__all__ = [
    "METHODS",
    "Method",
    "bookmarks",
    "chat",
    "conversations",
    "files",
    "history",
    "membership",
    "team",
    "users",
    "views",
]

"""The Web API, a module for each family of methods."""

from ir_local.slack.web_api import chat, conversations, files, history, membership, team, users, views
from ir_local.slack.web_api.registry import METHODS, Method

__all__ = ["METHODS", "Method", "chat", "conversations", "files", "history", "membership", "team", "users", "views"]

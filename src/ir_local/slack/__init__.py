"""A Slack workspace on this machine, over HTTP, for unchanged slack_sdk.

workspace = SlackWorkspace()
app = workspace.create_app(deliver=..., commands=["/security-ir"])
with serve(workspace) as server:
    WebClient(token=app.token, base_url=f"{server.url}/api/").auth_test()
    workspace.create_user("jane.smith").post("general", "hello")
"""

from ir_local.slack.delivery import Attempt, Deliveries, Delivery
from ir_local.slack.errors import SlackError
from ir_local.slack.faults import Fault
from ir_local.slack.interactions import Interaction
from ir_local.slack.model import ALL_EVENTS, ALL_SCOPES, App, Channel, File, Message, User, View
from ir_local.slack.people import Person
from ir_local.slack.server import SlackApplication, serve
from ir_local.slack.workspace import CallRecord, SlackWorkspace

__all__ = [
    "ALL_EVENTS",
    "ALL_SCOPES",
    "App",
    "Attempt",
    "CallRecord",
    "Channel",
    "Deliveries",
    "Delivery",
    "Fault",
    "File",
    "Interaction",
    "Message",
    "Person",
    "SlackApplication",
    "SlackError",
    "SlackWorkspace",
    "User",
    "View",
    "serve",
]

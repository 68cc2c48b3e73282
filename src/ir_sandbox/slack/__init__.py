"""A local Slack workspace that an unchanged slack_sdk reaches over HTTP.

workspace = SlackWorkspace()
app = workspace.create_app(deliver=..., commands=["/security-ir"])
with serve(workspace) as server:
    WebClient(token=app.token, base_url=f"{server.url}/api/").auth_test()
    workspace.create_user("jane.smith").post("general", "hello")
"""

from ir_sandbox.slack.delivery import Attempt, Deliveries, Delivery
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.interactions import Interaction
from ir_sandbox.slack.model import ALL_EVENTS, ALL_SCOPES, App, Channel, File, Message, User, View
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.server import SlackApplication, serve
from ir_sandbox.slack.workspace import CallRecord, SlackWorkspace

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

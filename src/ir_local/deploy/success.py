"""What a deployment says when it is done: the specification's words ("Expected Output") and the address for Slack."""

from __future__ import annotations

DEPLOYED = "✅ Slack integration deployed successfully!"
VERIFYING = "🔍 Running deployment verification..."
NEXT_STEPS = """\
📝 Next steps:
   1. Configure your Slack app's Event Subscriptions URL with the API Gateway endpoint
   2. Configure your Slack app's Slash Commands with the /security-ir command
   3. Install the Slack app to your workspace
   4. Test the integration by creating a test AWS Security IR case"""


def address(webhook_url: str, manifest: str) -> str:
    """The endpoint of steps 1 and 2, and the command (`manifest`) that prints both settings in one piece."""
    return f"SlackWebhookUrl = {webhook_url}\nSteps 1 and 2 in one paste: {manifest}"

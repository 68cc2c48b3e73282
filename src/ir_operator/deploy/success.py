"""The texts after a deployment: the specification's "Expected Output", then the webhook URL for Slack."""

from __future__ import annotations

DEPLOYED = "✅ Slack integration deployed successfully!"
VERIFYING = "🔍 Running deployment verification..."
NEXT_STEPS = """\
📝 Next steps:
   1. Configure your Slack app's Event Subscriptions URL with the API Gateway endpoint
   2. Configure your Slack app's Slash Commands with the /security-ir command
   3. Install the Slack app to your workspace
   4. Test the integration by creating a test AWS Security IR case"""


def steps(manifest: str, tfvars: str) -> str:
    """Return every step after the first deployment, in order.

    Args:
        manifest: The command whose output is the manifest of the Slack app.
        tfvars: The file with the variables of this deployment.
    """
    return f"""\
In order, for this deployment:
   a. At https://api.slack.com/apps choose Create New App, From a manifest, and paste the output of: {manifest}
   b. Choose Install to Workspace
   c. make rotate TFVARS={tfvars}
   d. In the app's Event Subscriptions, press Retry next to the Request URL
   e. Confirm each e-mail subscription on the command line (docs/operations.md, "Confirm the subscriptions")
   f. make verify TFVARS={tfvars}"""


def address(webhook_url: str, manifest: str) -> str:
    """Return the URL for steps 1 and 2, and the command `manifest`, whose output contains both settings."""
    return f"SlackWebhookUrl = {webhook_url}\nSteps 1 and 2 in one paste: {manifest}"

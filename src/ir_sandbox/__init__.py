"""The complete system on one machine, with local stand-ins for AWS and Slack. Not part of the deployed zip."""

"""The whole system on one machine: what AWS and Slack do, played locally. Never in the deployed zip."""

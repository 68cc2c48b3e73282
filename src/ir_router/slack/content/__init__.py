"""The content of a Slack message as plain text: text, blocks, attachments, forwarded messages and files. Pure."""

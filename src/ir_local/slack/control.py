"""The control door: what another process may see and do, under `/_local/`."""

from __future__ import annotations

import json

from werkzeug.wrappers import Request, Response

from ir_local.slack.workspace import SlackWorkspace


def control(workspace: SlackWorkspace, request: Request) -> Response:
    """Answer a request to the control door."""
    body = {"path": request.path, "team_id": workspace.team_id}
    return Response(json.dumps(body), content_type="application/json")

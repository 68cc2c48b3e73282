"""Operations on the investigations of the service's agent."""

from __future__ import annotations

from ir_sandbox.security_ir.errors import not_found
from ir_sandbox.security_ir.model import Parameters
from ir_sandbox.security_ir.state import Caller, State


class InvestigationOperations:
    """ListInvestigations, SendFeedback."""

    def __init__(self, state: State) -> None:
        """Work on `state`."""
        self._state = state

    def list_investigations(self, request: Parameters, _caller: Caller) -> Parameters:
        """ListInvestigations: newest first."""
        investigations = list(reversed(self._state.case(request["caseId"]).investigations.values()))
        page, token = self._state.page(
            "ListInvestigations", investigations, lambda item: item.investigation_id, request
        )
        items = [
            {
                "investigationId": investigation.investigation_id,
                "actionType": investigation.action_type,
                "title": investigation.title,
                "content": investigation.content,
                "status": investigation.status,
                "lastUpdated": investigation.last_updated,
                "feedback": investigation.feedback,
            }
            for investigation in page
        ]
        return {"investigationActions": items, "nextToken": token}

    def send_feedback(self, request: Parameters, _caller: Caller) -> Parameters:
        """SendFeedback: replace the investigation's feedback."""
        investigation = self._state.case(request["caseId"]).investigations.get(request["resultId"])
        if investigation is None:
            raise not_found("investigation", request["resultId"])
        investigation.feedback = {
            "usefulness": request["usefulness"],
            "comment": request.get("comment"),
            "submittedAt": self._state.now(),
        }
        return {}

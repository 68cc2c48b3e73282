"""Operations on comments."""

from __future__ import annotations

from ir_sandbox.security_ir.errors import not_found
from ir_sandbox.security_ir.model import Parameters
from ir_sandbox.security_ir.records import Change, Comment
from ir_sandbox.security_ir.state import Caller, State


class CommentOperations:
    """CreateCaseComment, UpdateCaseComment, ListComments. The API cannot delete a comment."""

    def __init__(self, state: State) -> None:
        """Work on `state`."""
        self._state = state

    def create_case_comment(self, request: Parameters, caller: Caller) -> Parameters:
        """CreateCaseComment: add a comment with an id that is unique only within the case."""
        state = self._state
        case = state.open_case(request["caseId"])
        comment_id = state.new_digits(6, case.comments)
        now, creator = state.now(), caller.principal.id
        case.comments[comment_id] = Comment(comment_id, request["body"], creator, now, creator, now)
        state.changed(
            case, Change.COMMENT, caller.principal, "Case Comment Added", f"Comment {comment_id} was added.",
            (state.settings.comment_added_event, "createdBy"),
        )  # fmt: skip
        return {"commentId": comment_id}

    def update_case_comment(self, request: Parameters, caller: Caller) -> Parameters:
        """UpdateCaseComment: edit any comment of an open case, as any caller; the same text is not a change."""
        state = self._state
        case = state.open_case(request["caseId"])
        comment = case.comments.get(request["commentId"])
        if comment is None:
            raise not_found("comment", request["commentId"])
        if comment.body != request["body"]:
            comment.body = request["body"]
            comment.last_updated = state.now()
            comment.last_updated_by = caller.principal.id
            state.changed(
                case, Change.COMMENT_EDIT, caller.principal, "Case Comment Updated",
                f"Comment {comment.comment_id} was updated.", ("Case Comment Updated", "updatedBy"),
            )  # fmt: skip
        return {"commentId": comment.comment_id, "body": comment.body}

    def list_comments(self, request: Parameters, _caller: Caller) -> Parameters:
        """ListComments in the order of the settings. AWS documents none, so callers must sort by createdDate."""
        comments = list(self._state.case(request["caseId"]).comments.values())
        if self._state.settings.comments_order == "newest_first":
            comments.reverse()
        page, token = self._state.page("ListComments", comments, lambda comment: comment.comment_id, request)
        items = [
            {
                "commentId": comment.comment_id,
                "createdDate": comment.created,
                "lastUpdatedDate": comment.last_updated,
                "creator": comment.creator,
                "lastUpdatedBy": comment.last_updated_by,
                "body": comment.body,
            }
            for comment in page
        ]
        return {"items": items, "nextToken": token, "total": len(comments)}

"""Operations on the tags of cases and memberships."""

from __future__ import annotations

from collections.abc import Mapping

from ir_sandbox.security_ir.errors import not_found, quota_exceeded, validation
from ir_sandbox.security_ir.model import Parameters, service_model
from ir_sandbox.security_ir.records import Change
from ir_sandbox.security_ir.state import Caller, State


def refuse_reserved_keys(tags: Mapping[str, str]) -> None:
    """Raise ApiError (ValidationException) for tag keys that start with `aws:`, which are reserved for AWS."""
    reserved = [key for key in tags if key.lower().startswith("aws:")]
    if reserved:
        fields = [(f"tags.{key}", "Member must not begin with aws:") for key in reserved]
        raise validation("Tag keys that begin with aws: are reserved.", fields)


class TagOperations:
    """TagResource, UntagResource, ListTagsForResource. Closed cases can be tagged; tags publish no event."""

    def __init__(self, state: State) -> None:
        """Work on `state`."""
        self._state = state

    def tag_resource(self, request: Parameters, caller: Caller) -> Parameters:
        """TagResource: add tags or replace their values."""
        refuse_reserved_keys(request["tags"])
        arn = request["resourceArn"]
        after = {**self._tags(arn), **request["tags"]}
        limit = service_model().shape_for("TagMap").metadata["max"]
        if len(after) > limit:
            raise quota_exceeded(f"A resource has at most {limit} tags.", "tag", arn, "tags")
        self._set(arn, after, caller)
        return {}

    def untag_resource(self, request: Parameters, caller: Caller) -> Parameters:
        """UntagResource: remove tags; missing keys are ignored."""
        arn = request["resourceArn"]
        after = {key: value for key, value in self._tags(arn).items() if key not in request["tagKeys"]}
        self._set(arn, after, caller)
        return {}

    def list_tags_for_resource(self, request: Parameters, _caller: Caller) -> Parameters:
        """ListTagsForResource: return all tags."""
        return {"tags": dict(self._tags(request["resourceArn"]))}

    def _tags(self, arn: str) -> dict[str, str]:
        if arn not in self._state.tags:
            raise not_found("resource", arn)
        return self._state.tags[arn]

    def _set(self, arn: str, after: dict[str, str], caller: Caller) -> None:
        if self._state.tags[arn] == after:
            return
        self._state.tags[arn] = after
        case = self._state.cases.get(arn.rpartition("/")[2])
        if case is not None:
            message = f"The tags of case {case.case_id} were changed."
            self._state.changed(case, Change.TAGS, caller.principal, "Case Tags Updated", message, None)

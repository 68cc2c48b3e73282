"""Test upgrades for existing cases: a version that follows more fields, and models that gain or lose fields."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydantic import create_model

from ir_router.cases import changes, followed_fields
from ir_router.cases.followed_fields import FollowedField
from ir_router.cases.models import Case, CaseRow
from ir_router.ledger import keys, table
from ir_router.security_ir import gateway
from tests.support.older_rows import write_as_before
from tests.support.sync import channel_messages, lines_with, settled_case
from tests.support.world import World

REGIONS = "slackChannelCaseImpactedRegions"
# A deep check takes each open case in turn. One check in ten reads the tags.
ALL_TURNS = 11


def set_regions(world: World, case_id: str, *regions: str) -> None:
    changes = {"impactedAwsRegionsToAdd": [{"region": region} for region in regions]}
    world.security_ir.call("UpdateCase", {"caseId": case_id, **changes})


def published_while_living(world: World, minutes: int) -> int:
    published = 0
    for _ in range(minutes):
        published += world.poll()["published"]
        world.settle()
        world.advance(60)
    return published


def narrower(model: type[Case] | type[CaseRow], *fields: str) -> Any:
    """Return the model without some of its fields."""
    kept: Any = {name: (field.annotation, field) for name, field in model.model_fields.items() if name not in fields}
    base: Any = model.__mro__[1]
    without = cast("Any", create_model(model.__name__, __base__=base, **kept))
    without.is_closed = Case.is_closed
    return without


@pytest.mark.parametrize("minutes", [1, 3])
def test_given_a_case_of_an_older_version_when_a_field_followed_since_changes_then_the_channel_shows_it(
    world: World, minutes: int
) -> None:
    case_id = settled_case(world)
    set_regions(world, case_id, "eu-west-1")
    world.live(1)
    write_as_before(world, case_id, without=[REGIONS])
    before = len(channel_messages(world, case_id))
    world.live(minutes)
    assert len(channel_messages(world, case_id)) == before

    set_regions(world, case_id, "us-west-2")
    world.settle()
    world.live(1)

    assert len(lines_with(world, case_id, "*Impacted regions*: eu-west-1 → eu-west-1, us-west-2")) == 1
    assert len(channel_messages(world, case_id)) == before + 1


def test_given_a_case_of_an_older_version_when_another_field_changes_first_then_the_new_one_is_announced_from_then_on(
    world: World,
) -> None:
    case_id = settled_case(world)
    write_as_before(world, case_id, without=[REGIONS])
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "First"})
    world.settle()
    assert lines_with(world, case_id, "*Impacted regions*") == []
    set_regions(world, case_id, "eu-west-1")
    world.settle()

    assert len(lines_with(world, case_id, "→ First")) == 1
    assert len(lines_with(world, case_id, "*Impacted regions*: (empty) → eu-west-1")) == 1


def test_given_a_change_half_announced_by_an_older_version_when_taken_up_then_it_is_announced_once_and_nothing_is_lost(
    world: World,
) -> None:
    case_id = settled_case(world)
    world.drop_native_events = True
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "Second"})
    world.wire.kill_on("slack", "chat.postMessage", "before")
    world.live(1)
    assert str(world.wire.died_at) == "sync: slack chat.postMessage"
    write_as_before(world, case_id, without=[REGIONS])
    set_regions(world, case_id, "eu-west-1")
    world.live(4)
    set_regions(world, case_id, "us-west-2")
    world.live(2)

    assert len(lines_with(world, case_id, "→ Second")) == 1
    assert len(lines_with(world, case_id, "*Impacted regions*: eu-west-1 → eu-west-1, us-west-2")) == 1


def test_given_cases_of_an_older_version_when_nothing_changes_then_none_is_published_and_nothing_is_posted(
    world: World,
) -> None:
    cases = [settled_case(world) for _ in range(3)]
    world.security_ir.close_case_as(cases[0])
    world.settle()
    world.live(1)
    before = [channel_messages(world, case_id) for case_id in cases]
    for case_id in cases:
        write_as_before(world, case_id, without=[REGIONS])

    assert published_while_living(world, ALL_TURNS) == 0
    assert [channel_messages(world, case_id) for case_id in cases] == before


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Changed"},
        {"description": "Changed"},
        {"engagementType": "Investigation"},
        {"impactedServicesToAdd": ["Changed"]},
        {"watchersToAdd": [{"email": "changed@example.com"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_given_a_case_of_an_older_version_when_only_the_poll_sees_a_change_then_it_is_announced(
    world: World, change: dict[str, object]
) -> None:
    case_id = settled_case(world)
    world.drop_native_events = True
    write_as_before(world, case_id)
    world.security_ir.call("UpdateCase", {"caseId": case_id, **change})
    world.live(2)

    assert any("hanged" in line or "Investigation" in line for line in channel_messages(world, case_id)[1:])


def test_given_a_severity_tag_that_changed_before_an_upgrade_when_deep_checked_then_it_is_announced(
    world: World,
) -> None:
    case_id = settled_case(world)
    write_as_before(world, case_id)
    arn = world.security_ir.call("GetCase", {"caseId": case_id})["caseArn"]
    world.security_ir.call("TagResource", {"resourceArn": arn, "tags": {"severity": "Critical"}})
    world.live(ALL_TURNS)

    assert len(lines_with(world, case_id, "*Severity*: High → Critical")) == 1


def test_given_a_model_that_gains_a_field_when_polled_then_no_case_is_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WiderRow(CaseRow):
        region: str = "eu-west-1"

    class WiderCase(Case):
        region: str = "eu-west-1"

    case_id = settled_case(world)
    world.live(1)
    monkeypatch.setattr(gateway, "CaseRow", WiderRow)
    monkeypatch.setattr(gateway, "Case", WiderCase)

    assert published_while_living(world, ALL_TURNS) == 0
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "Changed"})
    world.settle()
    assert len(lines_with(world, case_id, "→ Changed")) == 1


def test_given_a_model_that_loses_fields_when_polled_then_no_case_is_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled_case(world)
    world.live(1)
    monkeypatch.setattr(gateway, "CaseRow", narrower(CaseRow, "case_arn", "closed_date"))
    monkeypatch.setattr(gateway, "Case", narrower(Case, "reported_incident_start_date", "actual_incident_start_date"))

    assert published_while_living(world, ALL_TURNS) == 0


COMMANDER = FollowedField(
    "slackChannelCaseCommander", "Commander", lambda _case, tags: tags.get("commander", ""), tag="commander"
)


def follow(monkeypatch: pytest.MonkeyPatch, *fields: FollowedField) -> None:
    """Deploy a version that follows these fields."""
    monkeypatch.setattr(followed_fields, "FOLLOWED", fields)
    monkeypatch.setattr(changes, "FOLLOWED", fields)


def tag(world: World, case_id: str, **tags: str) -> None:
    arn = world.security_ir.call("GetCase", {"caseId": case_id})["caseArn"]
    world.security_ir.call("TagResource", {"resourceArn": arn, "tags": tags})


@pytest.mark.parametrize("synchronised", [False, True], ids=["deep check alone", "synchronised since"])
def test_given_a_followed_field_that_reads_another_tag_when_that_tag_changes_then_the_deep_check_notices(
    world: World, monkeypatch: pytest.MonkeyPatch, *, synchronised: bool
) -> None:
    case_id = settled_case(world)
    tag(world, case_id, commander="Jane")
    follow(monkeypatch, *followed_fields.FOLLOWED, COMMANDER)
    before = channel_messages(world, case_id)
    if synchronised:
        world.security_ir.add_comment_as(case_id, body="anything")
        world.settle()
    assert published_while_living(world, ALL_TURNS) == 0
    assert lines_with(world, case_id, "Commander") == []
    assert synchronised or channel_messages(world, case_id) == before

    tag(world, case_id, commander="John")
    world.live(ALL_TURNS)

    assert len(lines_with(world, case_id, "*Commander*: Jane → John")) == 1


def test_given_a_field_that_is_followed_no_more_and_then_again_when_it_changed_meanwhile_then_it_is_announced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = settled_case(world)
    every = followed_fields.FOLLOWED
    follow(monkeypatch, *(field for field in every if field.attribute != REGIONS))
    set_regions(world, case_id, "eu-west-1")
    world.settle()
    assert published_while_living(world, ALL_TURNS) == 0
    assert lines_with(world, case_id, "Impacted regions") == []

    follow(monkeypatch, *every)
    world.live(2)

    assert len(lines_with(world, case_id, "*Impacted regions*: (empty) → eu-west-1")) == 1


def test_given_a_case_of_an_older_version_when_deep_checked_then_its_row_has_what_it_lacked_and_is_written_once(
    world: World,
) -> None:
    case_id = settled_case(world)
    before = table.get(keys.case(case_id)) or {}
    write_as_before(world, case_id, without=[REGIONS])
    world.live(ALL_TURNS)
    world.wire.calls.clear()
    world.live(ALL_TURNS)

    after = table.get(keys.case(case_id)) or {}
    assert after[REGIONS] == ""
    assert after["fingerprint"] == before["fingerprint"]
    assert [call.operation for call in world.wire.calls if call.operation == "UpdateItem"] == []

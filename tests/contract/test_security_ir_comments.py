"""Comments, idempotency and paging of the local Security IR service, called through boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from mypy_boto3_security_ir import SecurityIncidentResponseClient

from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

if TYPE_CHECKING:
    from mypy_boto3_security_ir.type_defs import IncidentResponderTypeDef

JANE = "arn:aws:iam::111122223333:user/jane"
SYNC = "arn:aws:sts::111122223333:assumed-role/security-incident-sync/session"


@pytest.fixture
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir(principals={"jane": JANE, "sync": SYNC}) as running:
        yield running


@pytest.fixture
def client(sir: LocalSecurityIr) -> SecurityIncidentResponseClient:
    return sir.client("jane")


@pytest.fixture
def case_id(client: SecurityIncidentResponseClient) -> str:
    return client.create_case(**case_parameters())["caseId"]


# Comments


def test_given_a_case_when_two_people_write_then_each_comment_has_its_creator(sir, client, case_id):
    client.create_case_comment(caseId=case_id, body="from Jane")
    sir.service.add_comment_as(case_id, body="from AWS")
    sir.service.add_comment_as(case_id, "111122223333", "from an account")
    sir.service.add_comment_as(case_id, "security-ir.amazonaws.com", "from the service")

    comments = client.list_comments(caseId=case_id)["items"]

    assert [(comment["creator"], comment["body"]) for comment in comments] == [
        ("security-ir.amazonaws.com", "from the service"),
        ("111122223333", "from an account"),
        ("AWS Responder", "from AWS"),
        (JANE, "from Jane"),
    ]
    assert all(comment["createdDate"] == comment["lastUpdatedDate"] for comment in comments)


def test_fact_comment_item_has_these_members_and_a_six_digit_id(client, case_id):
    """Fact: commentId (6 digits), createdDate, lastUpdatedDate, creator, lastUpdatedBy, body."""
    client.create_case_comment(caseId=case_id, body="x")

    (comment,) = client.list_comments(caseId=case_id)["items"]

    assert comment.keys() == {"commentId", "createdDate", "lastUpdatedDate", "creator", "lastUpdatedBy", "body"}
    assert comment["commentId"].isdigit()
    assert len(comment["commentId"]) == 6


def test_given_a_comment_when_another_principal_edits_it_then_editor_and_date_change_but_not_the_creator(
    sir, client, case_id
):
    comment_id = sir.client("sync").create_case_comment(caseId=case_id, body="first")["commentId"]
    sir.clock.advance(timedelta(minutes=1))

    answer = client.update_case_comment(caseId=case_id, commentId=comment_id, body="second")

    (comment,) = client.list_comments(caseId=case_id)["items"]
    assert (answer["commentId"], answer["body"]) == (comment_id, "second")
    assert (comment["body"], comment["creator"], comment["lastUpdatedBy"]) == ("second", SYNC, JANE)
    assert comment["lastUpdatedDate"] - comment["createdDate"] >= timedelta(minutes=1)


def test_given_a_comment_when_it_is_edited_to_the_same_text_then_nothing_moves(sir, client, case_id):
    comment_id = client.create_case_comment(caseId=case_id, body="same")["commentId"]
    before = client.list_comments(caseId=case_id)["items"]
    sir.clock.advance(timedelta(minutes=1))

    client.update_case_comment(caseId=case_id, commentId=comment_id, body="same")

    assert client.list_comments(caseId=case_id)["items"] == before


def test_given_an_unknown_comment_when_it_is_edited_then_not_found(client, case_id):
    other_case = client.create_case(**case_parameters())["caseId"]
    elsewhere = client.create_case_comment(caseId=other_case, body="x")["commentId"]

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.update_case_comment(caseId=case_id, commentId=elsewhere, body="y")


def test_fact_a_comment_holds_twelve_thousand_characters(client, case_id):
    """Fact: comment 12,000 characters (characters, not bytes)."""
    client.create_case_comment(caseId=case_id, body="\N{LOCK}" * 12_000)

    with pytest.raises(client.exceptions.ValidationException):
        client.create_case_comment(caseId=case_id, body="\N{LOCK}" * 12_001)
    assert client.list_comments(caseId=case_id)["total"] == 1


def test_fact_comments_cannot_be_deleted(client):
    """Fact: comments cannot be deleted."""
    assert not [name for name in client.meta.service_model.operation_names if "Delete" in name]


def test_given_text_with_every_kind_of_character_when_it_is_listed_then_it_is_unchanged(client, case_id):
    body = 'é\N{LOCK}\n\t"quoted" <b>&amp;</b> \\ \u2028 end'

    client.create_case_comment(caseId=case_id, body=body)

    assert client.list_comments(caseId=case_id)["items"][0]["body"] == body


# clientToken


def tokened_calls(
    client: SecurityIncidentResponseClient, case_id: str, variant: int
) -> dict[str, tuple[Callable[[], Mapping[str, object]], Callable[[], int]]]:
    text = f"variant {variant}"
    parameters = case_parameters(title=text)
    return {
        "CreateCase": (
            lambda: cast("Mapping[str, object]", client.create_case(**parameters | {"clientToken": "token"})),
            lambda: client.list_cases()["total"],
        ),
        "CreateCaseComment": (
            lambda: cast(
                "Mapping[str, object]", client.create_case_comment(caseId=case_id, body=text, clientToken="token")
            ),
            lambda: client.list_comments(caseId=case_id)["total"],
        ),
        "GetCaseAttachmentUploadUrl": (
            lambda: cast(
                "Mapping[str, object]",
                client.get_case_attachment_upload_url(
                    caseId=case_id, fileName="a.txt", contentLength=variant, clientToken="token"
                ),
            ),
            lambda: 0,
        ),
    }


def without_metadata(answer: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.mark.parametrize("operation", ["CreateCase", "CreateCaseComment", "GetCaseAttachmentUploadUrl"])
def test_fact_client_token_makes_a_repetition_harmless(client, case_id, operation):
    """Fact: clientToken for CreateCase, CreateCaseComment, GetCaseAttachmentUploadUrl, CreateMembership."""
    call, count = tokened_calls(client, case_id, 1)[operation]
    other_call, _ = tokened_calls(client, case_id, 2)[operation]

    first = call()
    counted = count()
    assert without_metadata(call()) == without_metadata(first)
    with pytest.raises(client.exceptions.ConflictException):
        other_call()
    assert count() == counted


def test_given_a_membership_when_it_is_created_again_with_its_token_then_the_same_answer():
    with local_security_ir(response_team=None) as sir:
        client = sir.client()
        team: list[IncidentResponderTypeDef] = [
            {"name": "Jane Smith", "jobTitle": "Commander", "email": "jane@example.com"},
            {"name": "John Doe", "jobTitle": "Engineer", "email": "john@example.com"},
        ]
        first = client.create_membership(membershipName="One", incidentResponseTeam=team, clientToken="token")

        again = client.create_membership(membershipName="One", incidentResponseTeam=team, clientToken="token")

        assert again["membershipId"] == first["membershipId"]
        for token in ("token", "other"):
            with pytest.raises(client.exceptions.ConflictException):
                client.create_membership(membershipName="Two", incidentResponseTeam=team, clientToken=token)


def test_given_one_token_when_it_is_used_by_different_operations_then_they_do_not_meet(client, case_id):
    client.create_case(**case_parameters(), clientToken="token")

    assert client.create_case_comment(caseId=case_id, body="x", clientToken="token")["commentId"]


def test_given_one_token_when_it_is_used_for_another_case_then_conflict(client, case_id):
    other_case = client.create_case(**case_parameters())["caseId"]
    client.create_case_comment(caseId=case_id, body="x", clientToken="token")

    with pytest.raises(client.exceptions.ConflictException):
        client.create_case_comment(caseId=other_case, body="x", clientToken="token")


def test_given_a_refused_call_when_its_token_is_used_again_then_it_is_not_bound(sir, client, case_id):
    long = "x" * 12_001
    with pytest.raises(client.exceptions.ValidationException):
        client.create_case_comment(caseId=case_id, body=long, clientToken="token")

    assert client.create_case_comment(caseId=case_id, body="short", clientToken="token")["commentId"]


def test_given_a_comment_when_its_case_is_closed_then_the_token_still_gets_the_first_answer(client, case_id):
    first = client.create_case_comment(caseId=case_id, body="x", clientToken="token")
    client.close_case(caseId=case_id)

    again = client.create_case_comment(caseId=case_id, body="x", clientToken="token")

    assert again["commentId"] == first["commentId"]


def test_given_twelve_concurrent_calls_with_one_token_when_they_end_then_there_is_one_comment(sir, client, case_id):
    clients = [sir.client("jane") for _ in range(4)]

    def comment(number: int):
        return clients[number % 4].create_case_comment(caseId=case_id, body="x", clientToken="token")["commentId"]

    with ThreadPoolExecutor(12) as pool:
        ids = set(pool.map(comment, range(12)))

    assert len(ids) == 1
    assert client.list_comments(caseId=case_id)["total"] == 1


def test_given_eight_threads_when_they_write_and_read_then_no_comment_is_lost_and_no_id_is_used_twice(sir, case_id):
    def write(number: int):
        client = sir.client("jane")
        ids = []
        for part in range(5):
            ids.append(client.create_case_comment(caseId=case_id, body=f"{number}.{part}")["commentId"])
            client.list_comments(caseId=case_id)
        return ids

    with ThreadPoolExecutor(8) as pool:
        ids = [comment_id for part in pool.map(write, range(8)) for comment_id in part]

    assert len(set(ids)) == 40
    assert sir.client().list_comments(caseId=case_id)["total"] == 40


# Paging


def test_fact_a_page_has_at_most_twenty_five_and_every_list_is_paged_to_its_end(sir, client, case_id):
    """Fact: maxResults 1-25, nextToken. Every list must be paged to its end."""
    bodies = {f"comment {number}" for number in range(52)}
    for body in sorted(bodies):
        sir.service.add_comment_as(case_id, body=body)

    pages = list(client.get_paginator("list_comments").paginate(caseId=case_id))

    assert [len(page["items"]) for page in pages] == [25, 25, 2]
    assert {page["total"] for page in pages} == {52}
    assert {comment["body"] for page in pages for comment in page["items"]} == bodies
    assert "nextToken" not in pages[-1]
    edits = list(client.get_paginator("list_case_edits").paginate(caseId=case_id, PaginationConfig={"PageSize": 10}))
    assert sum(len(page["items"]) for page in edits) == 53
    assert all(len(page["items"]) <= 10 for page in edits)


def test_given_cases_when_new_ones_come_while_a_poller_pages_then_no_old_one_is_missed_or_doubled(sir, client):
    old = {sir.service.create_case_as(case_parameters()) for _ in range(7)}
    page = client.list_cases(maxResults=3)
    seen = [item["caseId"] for item in page["items"]]

    while token := page.get("nextToken"):
        sir.service.create_case_as(case_parameters())
        page = client.list_cases(maxResults=3, nextToken=token)
        seen += [item["caseId"] for item in page["items"]]

    assert len(seen) == len(set(seen))
    assert old == set(seen)


def test_given_exactly_a_full_page_when_it_is_read_then_there_is_no_next_token(sir, client, case_id):
    for number in range(25):
        sir.service.add_comment_as(case_id, body=str(number))

    page = client.list_comments(caseId=case_id)

    assert len(page["items"]) == 25
    assert "nextToken" not in page


@pytest.mark.parametrize("size", [0, 26, -1])
def test_fact_max_results_is_one_to_twenty_five(sir, case_id, size):
    """Fact: maxResults 1-25."""
    client = sir.client(validate=False)
    for call in (
        client.list_cases,
        client.list_memberships,
        lambda **page: client.list_comments(caseId=case_id, **page),
        lambda **page: client.list_case_edits(caseId=case_id, **page),
        lambda **page: client.list_investigations(caseId=case_id, **page),
    ):
        with pytest.raises(client.exceptions.ValidationException) as refused:
            call(maxResults=size)
        assert refused.value.response["fieldList"][0]["name"] == "maxResults"


def test_given_tokens_that_are_not_its_own_when_a_list_is_read_then_invalid_token(sir, client, case_id):
    """Botocore's model: InvalidTokenException, 423."""
    other_case = client.create_case(**case_parameters())["caseId"]
    for case in (case_id, other_case):
        for number in range(2):
            sir.service.add_comment_as(case, body=str(number))
    token = client.list_comments(caseId=case_id, maxResults=1)["nextToken"]
    of_other_case = client.list_comments(caseId=other_case, maxResults=1)["nextToken"]
    of_other_list = client.list_case_edits(caseId=case_id, maxResults=1)["nextToken"]

    for bad in ("abc", "é", token[:-8] + "AAAAAAA=", of_other_case, of_other_list):
        with pytest.raises(client.exceptions.InvalidTokenException) as refused:
            client.list_comments(caseId=case_id, nextToken=bad)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 423
    with pytest.raises(client.exceptions.InvalidTokenException):
        client.list_case_edits(caseId=other_case, nextToken=of_other_list)
    with pytest.raises(client.exceptions.ValidationException):
        client.list_comments(caseId=case_id, nextToken="x" * 2001)
    assert len(client.list_comments(caseId=case_id, nextToken=token)["items"]) == 1


def test_given_a_token_when_it_is_used_too_late_then_invalid_token(sir, client, case_id):
    for number in range(2):
        sir.service.add_comment_as(case_id, body=str(number))
    token = client.list_comments(caseId=case_id, maxResults=1)["nextToken"]
    sir.clock.advance(timedelta(minutes=59))
    assert client.list_comments(caseId=case_id, nextToken=token)["items"]

    sir.clock.advance(timedelta(minutes=2))

    with pytest.raises(client.exceptions.InvalidTokenException):
        client.list_comments(caseId=case_id, nextToken=token)

"""Users and user groups of the local Slack."""

from __future__ import annotations

from ir_sandbox.slack.testing import error_of


def test_given_a_person_when_users_info_then_names_and_address(slack, client):
    jane = slack.workspace.create_user("jane.smith", email="Jane@Example.com", real_name="Jane Smith")

    user = client.users_info(user=jane.id)["user"]

    assert (user["id"], user["name"], user["real_name"]) == (jane.id, "jane.smith", "Jane Smith")
    assert user["team_id"] == slack.workspace.team_id
    assert user["profile"]["email"] == "Jane@Example.com"
    assert (user["is_bot"], user["is_restricted"], user["is_ultra_restricted"], user["deleted"]) == (False,) * 4
    assert error_of(client.users_info, user="U404")["error"] == "user_not_found"


def test_given_no_email_scope_when_users_info_then_no_address(slack, client):
    jane = slack.workspace.create_user("jane")
    slack.app.scopes.discard("users:read.email")
    assert "email" not in client.users_info(user=jane.id)["user"]["profile"]


def test_fact_guests_and_strangers_are_marked(slack, client):
    """PLATFORM_FACTS: guests: `is_restricted`, `is_ultra_restricted`; strangers: `is_stranger`, another `team_id`."""
    ws = slack.workspace
    guest, single = ws.create_user("guest", is_restricted=True), ws.create_user("single", is_ultra_restricted=True)
    stranger = ws.create_stranger("eve")

    shown = {person.id: client.users_info(user=person.id)["user"] for person in (guest, single, stranger)}

    assert (shown[guest.id]["is_restricted"], shown[guest.id]["is_ultra_restricted"]) == (True, False)
    assert (shown[single.id]["is_restricted"], shown[single.id]["is_ultra_restricted"]) == (True, True)
    assert shown[stranger.id]["is_stranger"] is True
    assert shown[stranger.id]["team_id"] != ws.team_id
    assert "email" not in shown[stranger.id]["profile"]


def test_given_an_address_in_any_case_when_looked_up_then_the_active_user_of_this_workspace(slack, client):
    ws = slack.workspace
    jane = ws.create_user("jane", email="Jane.Smith@example.com")
    gone = ws.create_user("gone")
    ws.users.change(gone.user, {"deleted": True})
    ws.users.change(ws.create_stranger("eve").user, {"email": "eve@elsewhere.example"})

    assert client.users_lookupByEmail(email="jane.smith@EXAMPLE.com")["user"]["id"] == jane.id
    for address in ("gone@example.com", "eve@elsewhere.example", "nobody@example.com"):
        assert error_of(client.users_lookupByEmail, email=address)["error"] == "users_not_found"


def test_given_many_users_when_listed_then_all_at_once_or_by_pages(slack, client):
    made = {slack.workspace.create_user(f"user{number}").id for number in range(12)}
    slack.workspace.create_stranger("eve")
    expected = made | {slack.app.bot_user_id, "USLACKBOT"}

    assert {user["id"] for user in client.users_list()["members"]} == expected
    pages = [[user["id"] for user in page["members"]] for page in client.users_list(limit=5)]
    assert [len(page) for page in pages] == [5, 5, 4]
    assert {user for page in pages for user in page} == expected
    assert error_of(client.users_list, cursor="nonsense")["error"] == "invalid_cursor"


def test_given_more_users_than_a_page_when_listed_without_a_limit_then_all(slack, client):
    for number in range(1001):
        slack.workspace.create_user(f"user{number}")
    assert len(client.users_list()["members"]) == 1003
    assert error_of(client.users_list, limit=1004)["error"] == "invalid_limit"


def test_given_a_user_group_when_listed_then_its_members(slack, client):
    jane = slack.workspace.create_user("jane")
    group = slack.workspace.create_user_group("responders", [jane.id])
    disabled = slack.workspace.create_user_group("former", [jane.id])
    disabled.disabled = True

    assert client.usergroups_users_list(usergroup=group.id)["users"] == [jane.id]
    assert [entry["handle"] for entry in client.usergroups_list()["usergroups"]] == ["responders"]
    with_all = client.usergroups_list(include_users=True, include_count=True, include_disabled=True)["usergroups"]
    assert [(entry["users"], entry["user_count"]) for entry in with_all] == [([jane.id], 1)] * 2
    assert error_of(client.usergroups_users_list, usergroup="S404")["error"] == "no_such_subteam"
    assert error_of(client.usergroups_users_list, usergroup=disabled.id)["error"] == "no_such_subteam"

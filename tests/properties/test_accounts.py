"""Events, forgeries, decisions and calls in an organisation, in random order: each changes its own account alone."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir_router.errors import IrRouterError
from ir_router.ledger import approvals
from ir_sandbox import cloud_trail
from tests.trials.world import ACCOUNT, World, incidents, organisation
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.organisation import MEMBERS, iam_of, moved, picture
from tests.trials.world.running import running_world
from tests.trials.world.state_machine import Execution, StateMachine

ACCOUNTS = (ACCOUNT, *MEMBERS)
NAME = "carol"


class Step(NamedTuple):
    """What happens, and the account in which it happens."""

    kind: Literal["key", "finding", "forgery", "detach", "approve", "deny", "verify"]
    account: str


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["key", "finding", "forgery", "detach", "approve", "deny", "verify"]),
        st.sampled_from(ACCOUNTS),
    ),
    min_size=4,
    max_size=7,
)


class Player:
    """Plays steps, and knows which accounts have a containment whose decision is pending."""

    def __init__(self, world: World) -> None:
        self.world, self.machine = world, StateMachine(world)
        self.pending: dict[str, Execution] = {}
        self.contained: set[str] = set()
        self.tokens: dict[str, str] = {}

    def play(self, step: Step) -> None:
        getattr(self, f"_{step.kind}")(step.account)
        self.tokens |= {message["approvalId"]: message["taskToken"] for message in incidents.asked(self.world)}

    def _start(self, event: Any, account: str) -> None:
        execution = self.machine.start(event)
        if execution.path[-1] == "Wait for Analyst":
            self.pending[account] = execution
            self.contained.add(account)

    def _key(self, account: str) -> None:
        keys = iam_of(account).list_access_keys(UserName=NAME)["AccessKeyMetadata"]
        key = keys[-1]["AccessKeyId"] if keys else "AKIADELETED000000001"
        by = cloud_trail.user_identity(account, "mallory", "AKIAMALLORY000000001")
        self._start(moved(incidents.key_created(self.world, NAME, key, userIdentity=by), account), account)

    def _finding(self, account: str) -> None:
        self._start(incidents.finding(NAME, 8.0, accountId=account), account)

    def _forgery(self, account: str) -> None:
        for victim in ACCOUNTS:
            if victim != account:
                forged = moved(incidents.key_created(self.world, NAME, "AKIAFORGED0000000001"), victim)
                assert self.machine.start({**forged, "account": account}).path[-1] == "Event Not Believed"

    def _detach(self, account: str) -> None:
        if incidents.iam_state(self.world, NAME, account).denied:
            iam_of(account).detach_user_policy(UserName=NAME, PolicyArn=DENY_POLICY)

    def _approve(self, account: str) -> None:
        self._decide(account, "approve")

    def _deny(self, account: str) -> None:
        self._decide(account, "deny")
        if not self.pending.get(account):
            self.contained.discard(account)

    def _decide(self, account: str, decision: str) -> None:
        execution = self.pending.pop(account, None)
        if execution is not None:
            token = self.tokens[approvals.id_of(execution.arn, "remediate")]
            incidents.decide(self.world, token, decision)
            self.machine.advance()
            assert execution.status == "SUCCEEDED"

    def _verify(self, _account: str) -> None:
        self.world.advance(3_700)
        self.world.verify_containments()


@given(drawn=steps)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_given_steps_in_three_accounts_with_one_user_name_when_played_then_each_changes_its_own_account_alone(
    drawn: list[Step],
) -> None:
    with running_world() as world:
        world.unexpected.allow(IrRouterError)  # forgeries
        world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "1000"
        organisation.found(world)
        for account in ACCOUNTS:
            incidents.user(NAME, 1, account)
        player = Player(world)
        for step in drawn:
            before = {account: picture(account) for account in ACCOUNTS}
            player.play(step)
            for account in ACCOUNTS:
                if step.kind == "forgery" or (account != step.account and step.kind != "verify"):
                    assert picture(account) == before[account], step
        world.advance(3_700)
        world.verify_containments()
        for account in ACCOUNTS:
            assert incidents.iam_state(world, NAME, account).denied == (account in player.contained)

"""What each role may do, and how a refusal reads."""

import pytest

from shared.errors import Forbidden
from shared.people.actors import Actor, Role, local_actor
from shared.people.permissions import OWNED, Action, authorise, may

ANN, BOB = Actor("ann", Role.MEMBER), Actor("bob", Role.MEMBER)
EVE, ZOE = Actor("eve", Role.VIEWER), Actor("zoe", Role.ADMIN)
#: Of one's own account rather than of the pool.
OWN_ACCOUNT = {
    Action.CHANGE_PASSWORD,
    Action.MAKE_TOKEN,
    Action.REVOKE_TOKEN,
    Action.KEEP_VIEW,
    Action.KEEP_DRAFT,
}


@pytest.mark.parametrize("action", sorted(set(Action) - {Action.READ} - OWN_ACCOUNT))
@pytest.mark.parametrize("owner", ["eve", "ann", ""])
def test_a_viewer_may_change_nothing_of_the_pool(action: Action, owner: str) -> None:
    with pytest.raises(Forbidden):
        authorise(EVE, action, owner=owner)


@pytest.mark.parametrize("action", sorted(OWNED))
def test_a_member_may_do_it_to_their_own_and_to_nobody_elses(action: Action) -> None:
    authorise(ANN, action, owner="ann")
    for owner in ("bob", ""):
        assert not may(ANN, action, owner=owner)
    assert not may(Actor("", Role.MEMBER), action, owner="")


@pytest.mark.parametrize("action", sorted(OWNED | OWN_ACCOUNT))
def test_a_thing_without_a_named_owner_is_a_mistake_and_not_everybodys(action: Action) -> None:
    with pytest.raises(TypeError, match="whose"):
        may(ANN, action)


@pytest.mark.parametrize("action", sorted(Action))
def test_an_admin_may_do_everything(action: Action) -> None:
    authorise(ZOE, action, owner="ann")


@pytest.mark.parametrize("action", sorted(OWN_ACCOUNT))
def test_a_viewer_keeps_their_own_account_and_not_anothers(action: Action) -> None:
    authorise(EVE, action, owner="eve")
    assert not may(EVE, action, owner="ann")


def test_members_add_things_and_leave_the_pool_to_admins() -> None:
    for action in (Action.SUBMIT, Action.VOTE, Action.REGISTER_DATASET, Action.PROPOSE_SAMPLE):
        authorise(ANN, action)
    for action in (Action.DRAIN_HOST, Action.SET_LIMITS, Action.MANAGE_PEOPLE):
        assert not may(ANN, action)


def test_a_refusal_says_who_may_in_both_languages() -> None:
    with pytest.raises(Forbidden) as refused:
        authorise(BOB, Action.CANCEL, owner="ann")
    assert refused.value.message("en") == (
        "bob is a member here and may not cancel this job: its owner (ann) and admins may. "
        "Ask one of them."
    )
    assert refused.value.message("zh") == (
        "bob 在此是成员，无权取消该任务；其所有者（ann）和管理员可以，请联系他们。"
    )
    with pytest.raises(Forbidden, match="submit jobs: members and admins may"):
        authorise(EVE, Action.SUBMIT)


def test_roles_have_an_order() -> None:
    assert Role.ADMIN.at_most(Role.VIEWER) is Role.VIEWER
    assert Role.VIEWER.at_most(Role.ADMIN) is Role.VIEWER
    assert sorted(Role, key=lambda role: role.rank) == [Role.VIEWER, Role.MEMBER, Role.ADMIN]


def test_who_works_on_the_machine_itself_is_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    from pools import forget

    monkeypatch.setenv("GRAFT_USER", "ann")
    forget()
    assert local_actor() == Actor("ann", Role.ADMIN)
    forget()

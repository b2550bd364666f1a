"""A look at the queue goes before what else a worker computes."""

from worker.courtesy import Looking


def test_whoever_gives_way_waits_for_the_end_of_a_look_but_not_for_ever() -> None:
    looking = Looking()
    assert looking.give_way()
    with looking:
        assert not looking.give_way()
    assert looking.give_way()

"""The bench of a large fleet, with two hosts."""

from bench.fleet import measured


def test_it_parses_and_plans() -> None:
    found = measured(2, 5, 0.0, ["--list-tasks"])
    assert (found["hosts"], found["forks"]) == (2, 5)
    assert 0 < float(str(found["seconds"])) < 60
    assert int(str(found["mb"])) > 10

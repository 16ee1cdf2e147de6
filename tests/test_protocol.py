"""What a comparison is, checked before it runs."""

from dataclasses import replace

import pytest

from augsynth.quality import ARMS, Protocol
from augsynth.quality.runs import Task, tasks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps=0 must be an integer, 1 or more"),
        ({"seeds": 2.5}, "seeds=2.5"),
        ({"labels_per_class": True}, "labels_per_class=True"),
        ({"learning_rates": ()}, "learning_rates"),
        ({"learning_rates": (0.1, -1)}, "learning_rates=-1"),
        ({"validation_share": 1.0}, "validation_share=1.0 must be a number between 0 and 1"),
        ({"arms": ("none",)}, "at least two different arms"),
        ({"primary": ("both", "both")}, "two different arms"),
    ],
)
def test_a_protocol_that_makes_no_sense_names_the_value(change, message):
    with pytest.raises(ValueError, match=message):
        replace(Protocol(), **change)


def test_the_primary_contrast_must_be_among_the_arms():
    with pytest.raises(ValueError, match=r"names 'both', which is not among.*primary=\[augment,none\]"):
        Protocol(arms=("none", "augment")).check_arms(list(ARMS))
    with pytest.raises(ValueError, match="'agument' is not an arm; did you mean 'augment'"):
        Protocol(arms=("none", "agument")).check_arms(list(ARMS))


def test_every_arm_is_compared_with_the_base_line():
    assert Protocol().contrasts() == (("augment", "none"), ("synthetic", "none"), ("both", "augment"))
    assert Protocol(primary=("both", "augment")).contrasts()[-1] == ("both", "none")


def test_a_task_is_the_runs_of_one_seed_that_share_a_generator():
    assert tasks(Protocol(seeds=2, seed=7), ARMS) == [
        Task(0, 7, ("synthetic", "both")),
        Task(1, 7, ("none", "augment")),
        Task(2, 8, ("synthetic", "both")),
        Task(3, 8, ("none", "augment")),
    ]

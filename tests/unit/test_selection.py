"""Which images a plan is about, and where they go."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.plans.selection import (
    choose,
    chosen,
    mapped,
    pattern_problem,
    template_problem,
)
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Candidate, Definition, Listed, Rule, Selector
from rbdmigrate.model.spec import ImageSpec

GIB = 1 << 30
THERE = [
    Candidate("vm-2", 20 * GIB, "gold"),
    Candidate("vm-1", 10 * GIB, "lead"),
    Candidate("vm-test-1", 1 * GIB),
    Candidate("db01", 5 * GIB, "gold"),
]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        (Selector("hdd"), ["db01", "vm-1", "vm-2", "vm-test-1"]),
        (Selector("hdd", name="vm-?"), ["vm-1", "vm-2"]),
        (Selector("hdd", name="VM-*"), []),
        (Selector("hdd", name="vm-*", exclude=("*test*", "vm-2")), ["vm-1"]),
        (Selector("hdd", name="", regex="db[0-9]{2}"), ["db01"]),
        (Selector("hdd", name="", regex="vm"), []),
        (Selector("hdd", name="", regex="vm.*", exclude=("*1",)), ["vm-2"]),
        (Selector("hdd", smallest=10 * GIB), ["vm-1", "vm-2"]),
        (Selector("hdd", largest=5 * GIB), ["db01", "vm-test-1"]),
        (Selector("hdd", label="tier", value="gold"), ["db01", "vm-2"]),
    ],
)
def test_what_a_selector_picks(selector, names):
    assert chosen(selector, THERE) == names


def test_where_images_go():
    source = ImageSpec("hdd", "blue", "vm-1")
    assert mapped(Rule("nvme", "", "{name}"), source, 1) == ImageSpec("nvme", "", "vm-1")
    assert mapped(Rule("nvme", None), source, 1) == ImageSpec("nvme", "blue", "vm-1")
    assert mapped(Rule(), source, 1) == source
    rule = Rule("nvme", "red", "{pool}_{namespace}_{name}_{index}")
    assert mapped(rule, source, 7) == ImageSpec("nvme", "red", "hdd_blue_vm-1_7")
    with pytest.raises(MigrationError, match="too long"):
        mapped(Rule("nvme", "", "{name}" * 30), source, 1)


def run(definition):
    numbers = itertools.count()
    return choose(definition, lambda selector: THERE, lambda: f"id{next(numbers)}")


def test_the_items_of_a_plan():
    spec = '{"type":"raw","stream":{"type":"file","file_path":"/a.raw"}}'
    items = run(
        Definition(
            "p",
            select=(Selector("hdd", name="vm-?"), Selector("hdd", name="*2")),
            rule=Rule("nvme", "", "{name}"),
            images=(
                Listed(ImageSpec("hdd", "", "vm-1"), ImageSpec("ssd", "", "special")),
                Listed(target=ImageSpec("nvme", "", "web"), source_spec=spec),
            ),
        )
    )
    assert [(str(i.source), str(i.target)) for i in items] == [
        ("hdd/vm-2", "nvme/vm-2"),
        ("hdd/vm-1", "ssd/special"),
        ("raw over file /a.raw", "nvme/web"),
    ]
    assert len({i.ident for i in items}) == 3


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (Definition("p", (Selector("hdd", name="x*"),)), "No image fits"),
        (
            Definition("p", (Selector("hdd"),), Rule("nvme", "", "same")),
            "would both go to nvme/same",
        ),
        (
            Definition("p", (Selector("a"), Selector("b")), Rule("nvme", "")),
            "a/db01 and b/db01 would both go to nvme/db01",
        ),
        (
            Definition(
                "p",
                images=(
                    Listed(ImageSpec("a", "", "x"), ImageSpec("b", "", "y")),
                    Listed(ImageSpec("a", "", "x"), ImageSpec("b", "", "z")),
                ),
            ),
            "a/x is listed twice",
        ),
        (
            Definition("p", (Selector("hdd"),), Rule("nvme", "", "{namespace}")),
            "map.name makes an empty",
        ),
    ],
)
def test_what_is_no_selection(definition, said):
    with pytest.raises(MigrationError) as refusal:
        run(definition)
    assert said in str(refusal.value)


@given(st.text("{}namepoolidx:!.[]0/@ ", max_size=20))
def test_a_template_without_a_problem_can_be_filled_in(template):
    if template_problem(template):
        return
    said = ""
    try:
        mapped(Rule("nvme", "", template), ImageSpec("hdd", "", "vm"), 3)
    except MigrationError as error:
        said = str(error)
    assert not said or "map.name" in said


def test_a_stored_plan_with_an_expression_that_is_refused_now_says_so():
    assert pattern_problem(Definition("p", (Selector("a"), Selector("a", regex="vm.*")))) == ""
    old = Definition("p", (Selector("a"), Selector("a", name="", regex=r"(a)\1")))
    said = pattern_problem(old)
    assert said.startswith("select[1].regex in the plan has a look-around, a reference")
    assert said.endswith("`ceph rbd migration plan apply` changes the plan.")

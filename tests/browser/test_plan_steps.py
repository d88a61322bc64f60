"""A plan as steps: the fields and the text agree, and what has no field stays."""

import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from qa.ui.double import Double
from qa.ui.server import serving
from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.control.plans.plan_text import load_plan_text


def text_of(page: Page):
    return page.get_by_label("The plan", exact=True)


def test_the_fields_write_a_plan_that_the_manager_takes(open_page):
    double = Double()
    page = open_page(double, "#/new-plan")
    page.get_by_label("Name of the plan").fill("nvme-move")
    page.get_by_label("Pool of the images").fill("hdd")
    page.get_by_label("Names", exact=True).fill("vm-*")
    page.get_by_label("Except", exact=True).fill("vm-test-*, vm-009")
    page.get_by_role("button", name="Add another selection").click()
    page.get_by_label("Pool of the images").last.fill("sata")
    page.get_by_label("Target pool").fill("nvme")
    page.get_by_label("Images in a wave").fill("5")
    page.get_by_label("Goal").select_option("executed")
    page.get_by_label("Window", exact=True).fill("Mon-Fri 20:00-06:00, Sat-Sun")
    plan = parse_plan(text_of(page).input_value(), "rbd")
    assert [s.pool for s in plan.select] == ["hdd", "sata"]
    assert plan.select[0].exclude == ("vm-test-*", "vm-009")
    assert (plan.rule.pool, plan.wave, plan.policy.goal.value) == ("nvme", 5, "executed")
    assert plan.policy.window
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="nvme-move")).to_be_visible()
    assert double.plans.plans["nvme-move"].definition == plan


def test_the_text_fills_the_fields(open_page):
    page = open_page(Double(), "#/new-plan")
    text_of(page).fill(
        "plan: x\nselect: [{pool: hdd, regex: 'vm-[0-9]+', label: {key: tier, value: gold}}]\n"
        "map: {target_pool: nvme, flatten: yes}\npolicy: {goal: verified, soak: 1h}\n"
        'window: ["Sat", "Sun"]\n'
    )
    expect(page.get_by_label("Name of the plan")).to_have_value("x")
    expect(page.get_by_label("Or a regular expression")).to_have_value("vm-[0-9]+")
    expect(page.get_by_label("Goal")).to_have_value("verified")
    expect(page.get_by_label("Flatten")).to_be_checked()
    expect(page.get_by_label("Window", exact=True)).to_have_value("Sat, Sun")
    expect(page.get_by_text("The text has parts that have no field here")).to_be_visible()
    page.get_by_label("Rate", exact=True).fill("200M")  # a change keeps what has no field
    plan = parse_plan(text_of(page).input_value(), "rbd")
    assert (plan.select[0].label, plan.policy.soak, plan.rate) == ("tier", 3600.0, 200 << 20)


def test_while_the_text_cannot_be_read_the_fields_wait(open_page):
    page = open_page(Double(), "#/new-plan?example=true")
    name = page.get_by_label("Name of the plan")
    expect(name).to_have_value("nvme-move")
    text_of(page).fill("plan: [")
    expect(name).to_be_disabled()
    expect(page.get_by_text("The fields wait until the text can be read.")).to_be_visible()
    assert text_of(page).input_value() == "plan: ["
    text_of(page).fill("plan: again\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}\n")
    expect(name).to_be_enabled()
    expect(name).to_have_value("again")


def test_what_is_wrong_is_said_at_its_field(open_page):
    page = open_page(Double(), "#/new-plan?example=true")
    rate = page.locator(".field").filter(has=page.get_by_label("Rate", exact=True))
    expect(rate.get_by_role("textbox")).to_have_value("200M")
    rate.get_by_role("textbox").fill("fast")
    expect(rate.locator(".field-error")).to_contain_text("policy.rate in the plan")
    rate.get_by_role("textbox").fill("1M")
    expect(rate.locator(".field-error")).to_be_hidden()


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)
values = st.one_of(
    words, st.sampled_from(["true", "no", "22:00", "1.5", "~", "0", "a: b", "- x", "#"])
)
parts = st.dictionaries(st.sampled_from(["pool", "name", "size", "exclude"]), values, min_size=1)
plans = st.fixed_dictionaries(
    {"plan": values},
    optional={
        "select": st.lists(parts, min_size=1, max_size=3),
        "map": parts,
        "window": st.lists(values, min_size=1, max_size=3),
    },
)


@pytest.fixture(scope="module")
def writer(chromium):
    """Writes plans with the page's own code."""
    with serving(Double()) as address:
        page = chromium.new_page()
        page.goto(address + "index.html")

        def write(plan) -> str:
            return page.evaluate(
                'async (plan) => (await import("./js/plan_yaml.js")).planYaml(JSON.parse(plan))',
                json.dumps(plan),
            )

        yield write
        page.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(plan=plans)
def test_what_is_written_is_read_as_the_same(writer, plan):
    text = writer(plan)
    assert load_plan_text(text) == plan
    assert set(yaml.safe_load(text)) == set(plan)

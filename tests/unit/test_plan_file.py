"""Plan files: what is taken, what is refused and with which sentence; no text is a traceback."""

import json
import re
import time
from errno import EINVAL

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.plans.plan_file import parse_plan, read_plan
from rbdmigrate.control.plans.plan_text import MAX_PARTS, MAX_TEXT, MAX_YAML, load_plan_text
from rbdmigrate.control.plans.selection import choose
from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.plan import Definition, Item, Listed, Rule, Selector
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify

WHOLE = """
plan: nvme-move
select:
  - pool: hdd
    namespace: ""
    name: "vm-*"
    exclude: ["vm-test-*"]
    size: ">=1G,<1T"
    label: {key: tier, value: gold}
  - {pool: ssd, namespace: no, regex: "db[0-9]+"}
map:
  target_pool: nvme
  name: "{pool}-{name}"
  object_size: 4M
  features: [layering, exclusive-lock]
images:
  - source_spec: {type: qcow, stream: {type: http, url: "https://images.example/web.qcow2"}}
    target: nvme/web
  - {source: hdd/one, target: nvme/two}
  - {source: lonely}
waves: {size: 5, stop_after_failures: 2}
policy: {goal: executed, verify: sample, method: warm, rate: 200M, image_rate: 50M, priority: 5,
         soak: 30m}
limits: {max_copies: 4}
window: ["Mon-Fri 20:00-06:00", "Sat-Sun"]
"""


def parse(text):
    return parse_plan(text, "rbd")


def test_a_whole_plan():
    spec = {"type": "qcow", "stream": {"type": "http", "url": "https://images.example/web.qcow2"}}
    assert parse(WHOLE) == Definition(
        name="nvme-move",
        select=(
            Selector(
                "hdd",
                name="vm-*",
                exclude=("vm-test-*",),
                smallest=1 << 30,
                largest=(1 << 40) - 1,
                label="tier",
                value="gold",
            ),
            Selector("ssd", "no", name="", regex="db[0-9]+"),
        ),
        rule=Rule(
            "nvme",
            "",
            "{pool}-{name}",
            LayoutOptions(object_size=4 << 20, features=("layering", "exclusive-lock")),
        ),
        images=(
            Listed(
                target=ImageSpec("nvme", "", "web"),
                source_spec=json.dumps(spec, separators=(",", ":")),
            ),
            Listed(ImageSpec("hdd", "", "one"), ImageSpec("nvme", "", "two")),
            Listed(ImageSpec("rbd", "", "lonely")),
        ),
        policy=Policy(
            Goal.EXECUTED, 5, 50 << 20, "Mon-Fri 20:00-06:00, Sat-Sun", Verify.SAMPLE, 1800.0
        ),
        rate=200 << 20,
        wave=5,
        stop_after=2,
        method=Method.WARM,
        max_copies=4,
    )


RAW_SPEC = "source_spec: {type: raw, stream: {type: file, file_path: /srv/x}}"


@pytest.mark.parametrize("as_raw", [False, True])
def test_a_file_of_another_format_may_be_wanted_as_it_is(as_raw):
    found = parse(f"plan: p\nimages: [{{{RAW_SPEC}, target: a, as_raw: {str(as_raw).lower()}}}]")
    (listed,) = found.images
    (item,) = choose(found, lambda selector: [], lambda: "id")
    assert listed.as_raw is item.as_raw is as_raw


METHODS = f"""
plan: p
images:
  - {{source: hdd/own, target: nvme/own, method: warm}}
  - {{source: hdd/other, target: nvme/other}}
  - {{{RAW_SPEC}, target: a}}
  - {{{RAW_SPEC}, target: b, method: copy}}
"""


@pytest.mark.parametrize(
    ("policy", "methods"),
    [
        ("{}", [Method.WARM, None, None, Method.COPY]),
        ("{method: live}", [Method.WARM, Method.LIVE, None, Method.COPY]),
        ("{method: warm}", [Method.WARM, Method.WARM, None, Method.COPY]),
    ],
)
def test_an_image_has_its_own_method_or_the_plan_s(policy, methods):
    found = parse(f"{METHODS}policy: {policy}")
    items = choose(found, lambda selector: [], lambda: "id")
    assert [found.method_of(item) for item in items] == methods


def test_a_plan_of_imports_has_the_method_copy():
    found = parse(f"plan: p\nimages: [{{{RAW_SPEC}, target: a}}]\npolicy: {{method: copy}}")
    (item,) = choose(found, lambda selector: [], lambda: "id")
    assert found.method_of(item) is Method.COPY


@pytest.mark.parametrize("kind", [Listed, Item])
def test_what_an_earlier_version_wrote_is_not_wanted_as_it_is(kind):
    place = ImageSpec("a", "", "b")
    made = Listed(place, place) if kind is Listed else Item("1", place, place)
    plain = to_plain(made)
    assert plain.pop("as_raw") is False
    assert plain.pop("method") is None
    assert from_plain(kind, plain) == made


def test_the_least_that_a_plan_needs():
    found = parse("plan: p\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}")
    assert found.policy == Policy(Goal.COMMITTED)
    assert found.method is None
    assert found.select == (Selector("hdd"),)
    assert found.home == "nvme"
    assert found.places() == {("hdd", ""), ("nvme", "")}


@pytest.mark.parametrize(
    ("policy", "method", "auto"),
    [
        ("{}", None, False),
        ("{method: auto}", None, True),
        ("{method: live}", Method.LIVE, False),
        ("{method: warm, cutover: hook}", Method.WARM, False),
        ("{goal: cut-over}", None, True),
        ("{cutover: agent}", None, True),
        ("{cutover: refuse}", None, False),
        ("{cutover_window: Sat}", None, True),
        ("{refresh_source: 6h}", None, True),
    ],
)
def test_the_method_that_a_file_says(policy, method, auto):
    found = parse(MIN + f"policy: {policy}")
    assert (found.method, found.auto) == (method, auto)


def test_json_is_a_plan_too():
    plain = {"plan": "p", "images": [{"source": "a", "target": "b"}], "waves": {"size": 3}}
    assert parse(json.dumps(plain)).wave == 3


MIN = "plan: p\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}\n"
S3 = "{type: s3, url: http://s3.example/b/o, access_key: config://k, secret_key: SECRET}"
REFUSED = [
    ("", "The plan is empty"),
    ("a: [", "is not YAML (line 1"),
    ("plan: [p", "is not YAML"),
    ("\x00", "characters that YAML does not allow"),
    ("[]", "The plan is a list, not an object"),
    ("select: [{pool: hdd}]", "plan in the plan is missing"),
    ("plan: a/b\nselect: [{pool: hdd}]", "plan in the plan is not a valid name"),
    ("plan: p", "select in the plan and images are both missing"),
    ("plan: p\nselect: [{pool: hdd}]", "select[0] in the plan would be copied onto itself"),
    (
        "plan: p\nselect: [{pool: ssd, namespace: a}, {pool: hdd}]\nmap: {target_pool: hdd}",
        "select[1] in the plan would be copied onto itself",
    ),
    ("plan: p\nimages: [{source: hdd/a}]", "images[0] in the plan would be copied onto itself"),
    (
        "plan: p\nimages: [{source: hdd/a, target: ssd/a}, {source: hdd/b, target: hdd/b}]",
        "images[1] in the plan would be copied onto itself",
    ),
    ("plan: p\ncolour: blue", "colour in the plan is not known"),
    ("plan: &a p", "holds an anchor or alias (& or *) (line 1, column 7)"),
    ("plan: p\nselect: *a", "anchor or alias"),
    ("plan: !!python/object:os.system p", "holds a tag"),
    ("plan: p\nplan: q", "has 'plan' twice (line 2, column 1)"),
    ("plan: p\n---\nplan: q", "more than one document"),
    ("[" * 50, "nested deeper"),
    ("? [a]\n: b", "has a key that is not a text"),
    ("plan: p\nselect: 3", "select in the plan is a text"),
    ("plan: p\nselect: [3]", "select[0] in the plan is a text, not an object"),
    ("plan: p\nselect: [{}]", "select[0].pool in the plan is missing"),
    ("plan: p\nselect: [{pool: a/b}]", "select[0].pool in the plan holds '/' or '@'"),
    ("plan: p\nselect: [{pool: a, name: [x]}]", "select[0].name in the plan is a list"),
    ("plan: p\nselect: [{pool: a, name: x, regex: y}]", "select[0].regex in the plan is given"),
    ("plan: p\nselect: [{pool: a, regex: '('}]", "select[0].regex in the plan is not a regular"),
    ("plan: p\nselect: [{pool: a, regex: '(a)\\1'}]", "select[0].regex in the plan has a look"),
    ("plan: p\nselect: [{pool: a, size: 10G}]", "select[0].size in the plan is '10G'"),
    ("plan: p\nselect: [{pool: a, size: '>much'}]", "select[0].size in the plan: 'much'"),
    ("plan: p\nselect: [{pool: a, label: {key: x}}]", "select[0].label in the plan lacks"),
    ("plan: p\nimages: [{target: a}]", "images[0] in the plan has no source"),
    ("plan: p\nimages: [{source: a@b}]", "images[0].source in the plan"),
    ("plan: p\nimages: [{source_spec: {type: qed}, target: a}]", "type in the source-spec is"),
    (f"plan: p\nimages: [{{{RAW_SPEC}, target: a, as_raw: x}}]", "images[0].as_raw in the plan"),
    (
        "plan: p\nimages: [{source: a, as_raw: true}]",
        "images[0].as_raw in the plan is for a source_spec",
    ),
    (
        f"plan: p\nimages: [{{{RAW_SPEC.replace('raw', 'qcow')}, target: a, as_raw: true}}]",
        "images[0].as_raw in the plan is for a source_spec of the type raw",
    ),
    ("plan: p\nimages: [{source_spec: {type: qcow}}]", "images[0].target in the plan is missing"),
    (
        f"plan: p\nimages: [{{source_spec: {{type: raw, stream: {S3}}}, target: a}}]",
        "images[0].source_spec.stream.secret_key in the plan is a secret",
    ),
    (MIN + "waves: {size: 0}", "waves.size in the plan is '0'; give a whole number from 1"),
    (MIN + "waves: {size: many}", "waves.size in the plan is 'many'"),
    (MIN + "waves: {sise: 3}", "waves.sise in the plan is not known"),
    (MIN + "policy: {goal: moon}", "policy.goal in the plan is 'moon'; choose from prepared"),
    (
        MIN + "policy: {method: cold}",
        "policy.method in the plan is 'cold'; choose from auto, live,",
    ),
    (MIN + "policy: {method: copy}", "policy.method in the plan is copy, which is for imports"),
    (
        (
            f"plan: p\nimages: [{{{RAW_SPEC}, target: a}}, {{source: a/b, target: a/c}}]\n"
            "policy: {method: copy}"
        ),
        "policy.method in the plan is copy, which is for imports",
    ),
    (
        "plan: p\nimages: [{source: a/b, target: a/c, method: copy}]",
        "images[0].method in the plan is 'copy'; choose from live, warm",
    ),
    (
        f"plan: p\nimages: [{{{RAW_SPEC}, target: a, method: warm}}]",
        "images[0].method in the plan is warm, which is for images",
    ),
    (
        f"plan: p\nimages: [{{{RAW_SPEC.replace('raw', 'vmdk')}, target: a, method: live}}]",
        "images[0].method in the plan is live, and librbd does not read vmdk",
    ),
    (
        (
            "plan: p\nimages: [{source: a/b, target: a/c, method: live}]\n"
            "policy: {method: warm, goal: cut-over}"
        ),
        "images[0].method in the plan is live, and the policy has a cutover",
    ),
    (MIN + "policy: {goal: cut-over, method: live}", "policy.goal in the plan is cut-over, which"),
    (MIN + "policy: {rate: fast}", "policy.rate in the plan: 'fast' is not a rate"),
    (MIN + f"policy: {{soak: {'9' * 400}}}", "is not a duration"),
    (MIN + "policy: {refresh_source: 5s}", "policy.refresh_source in the plan: is 5s; give 60 s"),
    (MIN + "policy: {method: live, refresh_source: 6h}", "which only the method warm has"),
    (MIN + "policy: {soak: 367d}", "policy.soak in the plan: '367d' is longer than 366 days"),
    (MIN + "policy: {retries: 3}", "policy.retries in the plan is not known"),
    (MIN + "window: Mon-Fry", "window in the plan: 'Mon-Fry'"),
    (
        "plan: p\nselect: [{pool: a}]\nmap: {name: '{colour}'}",
        "map.name in the plan has an unknown field",
    ),
    (
        "plan: p\nselect: [{pool: a}]\nmap: {name: '{name.x}'}",
        "map.name in the plan has an unknown field",
    ),
    (
        "plan: p\nselect: [{pool: a}]\nmap: {name: '{'}",
        "map.name in the plan has an unmatched brace",
    ),
    ("plan: p\nselect: [{pool: a}]\nmap: {object_size: 5M}", "map.object_size '5M' must be"),
    ("plan: p\nselect: [{pool: a}]\nmap: {flatten: maybe}", "map.flatten in the plan is 'maybe'"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_refused(text, said):
    with pytest.raises(MigrationError) as refusal:
        parse(text)
    sentence = str(refusal.value)
    assert refusal.value.errno == EINVAL
    assert said in sentence
    assert "SECRET" not in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not re.search(r"[.!?] +[A-Z]", sentence)


def test_a_huge_text_is_not_read():
    with pytest.raises(MigrationError, match="longer than"):
        load_plan_text("a" * (MAX_TEXT + 1))


COSTLY = {
    "a list": "select: [" + "a," * 250_000,
    "a block": "- a\n" * 130_000,
    "pairs": "a: [" + "{b: c}," * 70_000,
    "words": "ab " * 170_000,
    "escapes": "[" + '"\\x41",' * 60_000,
    "broken JSON": "{" + '"a":' * 100_000,
    "lines": "\n" * 500_000,
    "blanks": " " * 500_000,
    "just below the bounds": "[" + ",".join(["a"] * (MAX_PARTS - 2)) + "]",
    "words below the bound": "ab " * (MAX_YAML // 3 - 1),
    "the same key": "{" + '"a":1,' * 80_000 + '"a":1}',
    "deep": '{"a":' * 100_000 + "1" + "}" * 100_000,
}


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_no_text_of_the_greatest_length_holds_the_manager_up(text):
    begin = time.process_time()
    said_about(text)
    assert time.process_time() - begin < 1.5  # a third of that by itself; this is a busy machine


def test_yaml_that_takes_long_is_refused_with_a_way_out():
    lines = "".join(f"- {{source: hdd/{n}, target: nvme/{n}}}\n" for n in range(2000))
    said = said_about("plan: p\nimages:\n" + lines)
    assert said.startswith("The plan is YAML of more than 6000 parts")
    assert said.endswith("or give it as JSON, which is read quickly.")


def test_thousands_of_images_are_listed_in_json():
    images = [{"source": f"hdd/{n}", "target": f"nvme/{n}"} for n in range(9000)]
    assert len(parse(json.dumps({"plan": "p", "images": images})).images) == 9000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"plan": "p", "plan": "q"}', "The plan has 'plan' twice"),
        ('{"a": ' + "[" * 20 + "]" * 20 + "}", "nested deeper than 12 levels"),
        ('{"plan": "p", }', "select in the plan and images"),  # YAML, no JSON
        ('{"plan": "p"} x', "is not YAML"),
    ],
)
def test_json_is_refused_as_yaml_is(text, said):
    assert said in said_about(text)


def said_about(text):
    """With which sentence it is refused, if it is."""
    try:
        parse(text)
    except MigrationError as error:
        return str(error)
    return ""


_WORDS = st.sampled_from(
    ["plan", "select", "map", "images", "waves", "policy", "limits", "window", "pool", "name",
     "regex", "size", "label", "source_spec", "target", "goal", "rate", "p", "0", "1G", ">1G",
     "{name}", "true", "off", "\ud800", "é", ""]
)  # fmt: skip
_PLAIN = st.recursive(
    _WORDS | st.text(max_size=8) | st.integers() | st.none() | st.booleans() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.text(max_size=200) | st.text("plan: []{}&*!?|>-\n\t\"'#%@,\\0x~U", max_size=120))
def test_no_text_is_a_traceback(text):
    assert "\n" not in said_about(text)


_BOTH = st.recursive(
    st.text("abc~0 ", max_size=4) | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1), _BOTH, max_size=4))
def test_a_json_object_reads_as_the_same_yaml_does(plain):
    text = json.dumps(plain)
    assert load_plan_text(text) == load_plan_text("# so it is not JSON\n" + text)


@given(_PLAIN, st.sampled_from(["select", "map", "images", "waves", "policy", "limits", "window"]))
def test_no_value_anywhere_is_a_traceback(value, where):
    plain = {"plan": "p", "select": [{"pool": "a"}], "map": {"target_pool": "b"}, where: value}
    assert "\n" not in said_about(json.dumps(plain))


def test_the_checksum_of_an_import_becomes_part_of_its_source_spec():
    source = {"type": "raw", "stream": {"type": "file", "file_path": "/srv/web.raw"}}
    listed = {"source_spec": source, "target": "nvme/web", "checksum": "SHA1:" + "A" * 40}
    (image,) = read_plan({"plan": "x", "images": [listed]}, "rbd").images
    assert json.loads(image.source_spec)["stream"]["checksum"] == "sha1:" + "a" * 40
    for wrong in (
        {**listed, "checksum": "sha1:12"},
        {"source": "hdd/a", "target": "nvme/a", "checksum": "sha1:" + "a" * 40},
    ):
        with pytest.raises(MigrationError, match="checksum in the plan"):
            read_plan({"plan": "x", "images": [wrong]}, "rbd")

"""What templates can do, what they cannot, and that none takes long, fills the memory or changes what others see."""

from __future__ import annotations

import copy
import re
import time
import tracemalloc
from typing import Any

import pytest

from reconciler.fleet.effort import TemplateProblem, TooMuchForAll, Work
from reconciler.fleet.jinja import Jinja
from reconciler.fleet.templates import Templates, filled

SECONDS = 8.0  # of CPU; tracing the memory makes it several times slower
MEGABYTES = 100
ROOM = 1024 * 1024

VALUES: dict[str, Any] = {
    "name": "alice",
    "group": "eu-west",
    "regions": ["nbg1", "fsn1"],
    "labels": {"team": "blue", "Area": "north"},
    "users": {"owner": None, "allowed": [30, 4]},
    "vars": {"city": "Bonn", "notes": [], "open": True, "lines": "a\nb"},
}


def fill(text: str, steps: int = 1_000_000) -> str:
    return filled(text, copy.deepcopy(VALUES), Templates(Work(steps)), ROOM)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ name }} of {{ regions }}, {{ users.owner }} {{ vars.open }}\n", "alice of ['nbg1', 'fsn1'], None True\n"),
        ("{# nothing #}{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("no mark\r\n", "no mark\r\n"),
        ("{{ name }}\r\n{# a\r\nb #}\r\nend\r\n", "alice\r\n\r\nend\r\n"),
        ("{{ name }}\n\nend", "alice\n\nend"),
        ("one\n{{ name }}\r\ntwo\r\n", "one\nalice\ntwo\n"),
        ("{{ vars.lines }}\r\n", "a\nb\r\n"),
        (
            "{{ labels.team }} {{ labels['team'] }} {{ regions[0] }} {{ regions[-1] }} {{ name[0] }}",
            "blue blue nbg1 fsn1 a",
        ),
        ("{{ name[1:3] }} {{ regions[1:] }} {{ name[::-1] }}", "li ['fsn1'] ecila"),
        (
            "{{ name ~ '-' ~ users.allowed[0] }} {{ 'a' + 'b' }} {{ 1 + 2 - 4 }} {{ [1] + [2] }} {{ -1 }}",
            "alice-30 ab -1 [1, 2] -1",
        ),
        ("{% if vars.open and not vars.notes %}a{% elif name %}b{% else %}c{% endif %}", "a"),
        ("{% if users.owner %}a{% elif name == 'bob' %}b{% else %}c{% endif %}", "c"),
        ("{{ 'a' if name in ('alice', 'bob') else 'b' }}{{ 'a' if 1 < 2 < 2 else 'b' }}", "ab"),
        (
            "{{ 'x' not in name }} {{ 'li' in name }} {{ 'team' in labels }} {{ vars.notes or 'none' }}",
            "True True True none",
        ),
        (
            "{% for region in regions %}{{ loop.index }} {{ region }}{{ '' if loop.last else ', ' }}{% endfor %}",
            "1 nbg1, 2 fsn1",
        ),
        ("{% for key, value in labels.items() %}{{ key }}={{ value }};{% endfor %}", "team=blue;Area=north;"),
        ("{% for key, value in labels|dictsort %}{{ key }};{% endfor %}", "Area;team;"),
        ("{% for user in users.allowed if user > 4 %}{{ user }}{% endfor %}", "30"),
        ("{% for note in vars.notes %}a{% else %}none{% endfor %}", "none"),
        ("{% set a = 'x' %}{% for r in regions %}{% set a = r %}{{ a }}{% endfor %}{{ a }}", "nbg1fsn1x"),
        ("{% set a, b = regions %}{% if a %}{% set b = 'z' %}{% endif %}{{ a ~ b }}", "nbg1z"),
        ("{{ vars.town | default('no town') }} {{ town|d }} {{ vars.notes|default('none', true) }}", "no town  none"),
        (
            "{{ town is defined }} {{ vars.town is undefined }} {{ users.owner is none }} {{ 3 is odd }}",
            "False True True True",
        ),
        ("{{ name|upper|lower|title }} {{ 'a b'|capitalize }} {{ '  x '|trim }}.", "Alice A b x."),
        ("{{ users.allowed|sort|join(', ') }} {{ ['b', 'A']|sort(reverse=true) }}", "4, 30 ['b', 'A']"),
        ("{{ regions|first }} {{ regions|last }} {{ regions|length }} {{ [1, 1]|unique }}", "nbg1 fsn1 2 [1]"),
        ("{{ group|replace('-', ' ') }} {{ group.split('-')[0] }} {{ name.startswith('al') }}", "eu west eu True"),
        (
            "{{ labels.get('x', 'y') }} {{ ', '.join(labels.keys()) }} {{ labels.values()|list }}",
            "y team, Area ['blue', 'north']",
        ),
        ("{{ {'a': 1}['a'] }}{{ {'a': {'b': 2}}.a.b }}", "12"),
        ("{{ vars.town.street|default('no street') }} {{ vars.notes|first|d('no note') }}", "no street no note"),
        ("{{ 'a' if vars.notes }}{{ 1 is even }}{{ 2 is even }}", "FalseTrue"),
        ("{{ [labels]|join(attribute='team') }} {{ labels['items'] is defined }}", "blue False"),
    ],
)
def test_a_template_is_filled_in(template: str, expected: str) -> None:
    assert fill(template) == expected


@pytest.mark.parametrize(
    ("template", "line", "summary"),
    [
        ("a\n{{ nmae }}", 2, "'nmae' is undefined"),
        ("{{ vars.town }}", 1, 'vars has no "town"'),
        ("{{ vars.town.street }}", 1, 'vars has no "town"'),
        ("{{ regions[2] }}", 1, 'regions has no "2"'),
        ("{{ name.__class__ }}", 1, 'name has no "__class__"'),
        ("{{ ''['__class__'] }}", 1, 'it has no "__class__"'),
        ("{{ labels.items }}", 1, 'labels has no "items"'),
        ("{{ vars.notes|first }}", 1, "No first item, sequence was empty."),
        ("{% if a %}", 1, "Unexpected end of template"),
        ("{{ name\n| shout }}", 2, 'the filter "shout" is not for templates: known are capitalize, count'),
        ("{{ name is shouted }}", 1, 'the test "shouted" is not for templates'),
        ("{{ name.format(1) }}", 1, 'the method "format" is not for templates'),
        ("{{ labels.update({'a': 'b'}) }}", 1, 'the method "update" is not for templates'),
        ("{{ users.allowed.append(666) }}", 1, 'the method "append" is not for templates'),
        ("{{ regions.upper() }}", 1, "descriptor 'upper' for 'str' objects doesn't apply to a 'list' object"),
        ("{{ name() }}", 1, "only methods can be called"),
        ("{{ range(3) }}", 1, "only methods can be called"),
        ("{{ range }}", 1, "'range' is undefined"),
        ("{{ lipsum }}", 1, "'lipsum' is undefined"),
        ("{{ self }}", 1, "a TemplateReference is not for templates"),
        ("{% for x in name %}\n{{ loop }}{% endfor %}", 2, "a LoopContext is not for templates"),
        ("{% for x in name %}{% for y in loop %}{% endfor %}{% endfor %}", 1, "a LoopContext is not for templates"),
        ("{% for x in name %}{{ loop.nextitem }}{% endfor %}", 1, 'loop has no "nextitem"'),
        ("{% for x in name %}{{ loop.cycle(1, 2) }}{% endfor %}", 1, 'the method "cycle" is not for templates'),
        ("{% set ns = namespace() %}", 1, "only methods can be called"),
        ("{{ name|attr('upper') }}", 1, 'the filter "attr" is not for templates'),
        ("{{ [labels]|join(attribute='items') }}", 1, 'it has no "items"'),
        ("{{ name|map(attribute='x') }}", 1, 'the filter "map" is not for templates'),
        ("{{ name|for }}", 1, 'the filter "for" is not for templates'),
        ("{{ 'a'.format }}", 1, 'it has no "format"'),
        ("\n{% set a = nmae %}", 2, "'nmae' is undefined"),
        ("{{ name == nmae }}", 1, "'nmae' is undefined"),
        ("{{ [nmae]|length }}", 1, "'nmae' is undefined"),
        ("{{ nmae is string }}", 1, "'nmae' is undefined"),
        ("{% if name %}\n\n{% for x in nmae %}{% endfor %}{% endif %}", 3, "'nmae' is undefined"),
        ("{{ '%9d' is even }}", 1, "unsupported operand type(s)"),
        ("{{ name|replace(old='a', old='b', new='c') }}", 1, "it cannot be compiled: keyword argument repeated"),
        ("{% for a in name %}" * 30 + "{% endfor %}" * 30, 1, "it cannot be compiled: too many statically nested"),
        ("{{ 2 * 3 }}", 1, '"*" is not for templates'),
        ("{{ 2 ** 3 }}", 1, '"**" is not for templates'),
        ("{{ '%9d' % 3 }}", 1, '"%" is not for templates'),
        ("{{ 1 / 0 }}", 1, '"/" is not for templates'),
        ("{{ name|join(*regions) }}", 1, "the operators * and ** are not for templates"),
        ("{{ name + 1 }}", 1, 'can only concatenate str (not "int") to str'),
        ("{{ regions|join(1, 2, 3) }}", 1, "sync_do_join() takes from 2 to 4 positional arguments"),
        ("{{ regions|join(what=1, self=2) }}", 1, "sync_do_join() got an unexpected keyword argument"),
        ("{{ x|default(node=1) }}", 1, "do_default() got an unexpected keyword argument"),
        ("{{ 1 < name }}", 1, "'<' not supported between instances of 'int' and 'str'"),
        ("{% for a in 5 %}{% endfor %}", 1, "'int' object is not iterable"),
        ("{% for a, b in regions %}{% endfor %}", 1, "too many values to unpack (expected 2)"),
        ("{% set ns.x = 1 %}", 1, "what is in a value cannot be set"),
        ("{% for a in regions recursive %}{% endfor %}", 1, "a loop cannot be recursive"),
        ("{% macro m() %}{% endmacro %}", 1, '"macro" is not for templates'),
        ("\n{% autoescape true %}{% endautoescape %}", 2, '"scopedevalcontextmodifier" is not for templates'),
        ("{% import 'x' as y %}", 1, '"import" is not for templates'),
        ("{% call name() %}{% endcall %}", 1, '"callblock" is not for templates'),
        ("{% filter upper %}{% endfilter %}", 1, '"filterblock" is not for templates'),
        ("{% with %}{% endwith %}", 1, '"with" is not for templates'),
        ("{% include '/etc/passwd' %}", 1, '"include" is not for templates'),
        ("{% extends 'x' %}", 1, '"extends" is not for templates'),
        ("{% block x %}{% endblock %}", 1, '"block" is not for templates'),
        ("{% set x %}a{% endset %}", 1, '"assignblock" is not for templates'),
        ("{{ " + "9" * 19 + " }}", 1, "a number is too big"),
        ("{{ " + "9" * 5000 + " }}", 1, "it cannot be compiled: Exceeds the limit"),
        ("{{ 1e999 }}", 1, "a number is too big"),
        ("\n{{ '\\ud800' }}", 2, "it writes half of a character (a surrogate)"),
        ("\n{{ 'a' ~ '\\x00' }}", 2, "it writes a NUL character"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", 1, "it is nested too deep"),
        ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, 1, "it has more than 10,000 words and signs"),
    ],
)
def test_what_cannot_be_filled_in_is_a_problem_with_its_line(template: str, line: int, summary: str) -> None:
    with pytest.raises(TemplateProblem, match=f"^{re.escape(summary)}") as raised:
        fill(template)
    assert raised.value.line == line


def loops(depth: int, over: str) -> str:
    return "".join(f"{{% for x{n} in {over} %}}" for n in range(depth)) + "x" + "{% endfor %}" * depth


def doubled(how: str, times: int, then: str) -> str:
    return "{% set a = 'aaaaaaaaaaaaaaaa' %}{% set b = 'aaaaaaaaaaaaaaaa' %}" + how * times + then


def in_a_loop(before: str, body: str) -> str:
    return f"{before}{{% for x in '{'a' * 5000}' %}}{body}{{% endfor %}}"


PAIRS = "{% set t = (1, 2) %}" + "{% set t = (t, t) %}" * 12
LONG = "{% set t = '" + "a" * 200_000 + "' %}"

BOMBS = {
    "center": "{{ 'a'|center(700000000) }}",
    "ljust": "{{ 'a'.ljust(2000000000) }}",
    "format of a text": "{{ '{:2000000000}'.format(1) }}",
    "format": "{{ '%2000000000d'|format(1) }}",
    "percent": "{{ '%2000000000d' is even or 'a' * 2000000000 }}",
    "indent": "{{ 'a\nb'|indent(900000000) }}",
    "batch": "{{ 'a'|batch(900000000, 'x')|list|length }}",
    "slice": "{{ 'a'|slice(900000000)|list|length }}",
    "concatenation": doubled("{% set a = a ~ a %}", 34, "{{ a }}"),
    "sum": doubled("{% set a = a + a %}", 34, "{{ a }}"),
    "join": doubled("{% set a = [a, a, a, a]|join(a) %}", 34, "{{ a }}"),
    "join of a text": doubled("{% set a = a.join([a, a, a, a]) %}", 34, "{{ a }}"),
    "join of letters": doubled("{% set a = a|join(a) %}", 9, "{{ a }}"),
    "replace": doubled("{% set a = a|replace('a', a) %}", 9, "{{ a }}"),
    "replace of nothing": doubled("{% set a = a.replace('', a) %}", 9, "{{ a }}"),
    "lists of lists": doubled("{% set a = [a, a] %}", 40, "{{ a }}"),
    "maps of maps": doubled("{% set a = {1: a, 2: a} %}", 40, "{{ a }}"),
    "comparison": doubled("{% set a = [a, a] %}{% set b = [b, b] %}", 40, "{{ a == b }}"),
    "sums of lists": "{% set a = [1] %}" + "{% set a = a + a %}" * 40 + "{{ a|length }}",
    "backslashes": "{% set a = '\\\\' %}" + "{% set a = [a]|string %}" * 40 + "{{ a }}",
    "numbers": "{% set a = 9 %}" + "{% set a = a + a %}" * 2000 + "{{ a }}",
    "hexadecimal": "{{ 0x" + "f" * 250_000 + " }}",
    "a long text": "{{ 0x" + "f" * 900_000 + " }}",
    "loops": loops(8, "'" + "a" * 64 + "'"),
    "deep loops": loops(50, "[1, 2]"),
    "loops with a filter": "{% set s = '" + "a" * 9000 + "' %}{% for x in s if s|upper|lower == s %}{% endfor %}",
    "a loop of much text": "{% for x in '" + "a" * 9000 + "' %}" + "a" * 9000 + "{% endfor %}",
    "a loop of many steps": "{% for x in '" + "a" * 9000 + "' %}" + "{% set a = 1 %}" * 1500 + "{% endfor %}",
    "searches": in_a_loop(LONG, "{% if t in t %}{% endif %}"),
    "splits": "{% set s = '" + "a " * 120_000 + "' %}{% for x in s[:9000] %}{% set y = s.split() %}{% endfor %}",
    "searches for what is nearly there": f"{{% set s = '{'a' * 2400}' %}}{{% set t = 'b{'a' * 98}' %}}"
    + "{% for x in s %}{% for y in s if t in s %}{% endfor %}{% endfor %}",
    "strips": f"{{% for x in '{'a' * 9000}' %}}{{% set y = '{'a' * 9000}'.strip('{'b' * 9000}a') %}}{{% endfor %}}",
    "sorts": f"{{% set s = '{'a ' * 9000}'.split() %}}{{% for x in s %}}{{% set y = s|sort|unique %}}{{% endfor %}}",
    "an attribute of attributes": f"{{{{ '{'a ' * 9000}'.split()|sort(attribute='{'0.' * 60_000}0') }}}}",
    "keys": in_a_loop(PAIRS, "{{ labels[t]|d }}"),
    "keys of a new map": in_a_loop(PAIRS, "{% if {t: 1} %}{% endif %}"),
    "comparisons": in_a_loop(PAIRS + "{% set u = t[:] %}", "{% if t == u %}{% endif %}"),
    "sums in a loop": in_a_loop(LONG, "{% if t + t %}{% endif %}"),
    "slices in a loop": in_a_loop(LONG, "{% if t[1:] %}{% endif %}"),
    "one concatenation": LONG + "{{ t" + "~t" * 2000 + " }}",
    "replace in a list": "{% set a = [" + "'" + "a" * 90_000 + "'] %}{{ a|replace('', a) }}",
    "loops of loops": "{% for x in name %}" * 18 + "{{ name }}" + "{% endfor %}" * 18,
    "a macro": "{% macro m(n) %}{{ m(n-1) }}{{ m(n-1) }}{% endmacro %}{{ m(40) }}",
    "many expressions": "{{1}}" * 50_000,
    "one long expression": "{{ [" + "1," * 100_000 + "] }}",
    "one long word": "{{ " + "a" * 250_000 + " }}",
    "a long attribute": "{{ name." + "a" * 250_000 + " }}",
    "deep attributes": "{{ name" + ".a" * 4000 + " }}",
    "deep lists": "{% set a = [] %}" + "{% set a = [a] %}" * 1100 + "{{ a }}",
    "signs": "{{ " + "-" * 9000 + "1 }}",
    "marks": "{{" * 100_000,
    "comments": "{#" * 100_000,
    "digits": "{{ " + "1_" * 120_000 + "1 }}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_template_takes_long_or_fills_the_memory(name: str) -> None:
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(TemplateProblem) as raised:
        fill(BOMBS[name])
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < SECONDS
    assert peak < MEGABYTES << 20
    assert len(raised.value.summary) < 400


def test_a_template_changes_nothing_that_another_sees() -> None:
    values = copy.deepcopy(VALUES)
    templates = Templates(Work(1_000_000))
    before = filled("{{ labels }}{{ a is defined }}", values, templates, ROOM)
    filled(
        "{% set labels = {} %}{% set a = regions|sort %}{{ labels }}{% for name in a %}{% endfor %}",
        values,
        templates,
        ROOM,
    )
    assert values == VALUES
    assert filled("{{ labels }}{{ a is defined }}", values, templates, ROOM) == before


@pytest.mark.parametrize(
    ("template", "summary"),
    [
        ("{{ name }}" * 1000, "the templates of all children take too many steps"),
        ("{{ name }}" + "a" * 250_000, "what is filled in for all children takes more than 64 MiB"),
    ],
)
def test_all_templates_together_have_an_end(template: str, summary: str) -> None:
    with pytest.raises(TooMuchForAll, match=summary):
        fill_for_many(template)


def fill_for_many(template: str) -> None:
    templates = Templates(Work(1_000_000))
    for _ in range(1000):
        filled(template, VALUES, templates, ROOM)


def test_nothing_of_a_template_runs_before_it_is_filled_in() -> None:
    assert steps_to_compile("{{ '" + "a" * 32_000 + "'|upper }}") == steps_to_compile("{{ name|upper }}")


def steps_to_compile(template: str) -> int:
    work = Work(1_000_000)
    Jinja(work).compiled(template)
    return 1_000_000 - work.steps

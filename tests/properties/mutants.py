"""Every rule of what decides, as a mutant: a snippet of the source, and what stands there instead. Laws find each.

A question that only the types need (`is None` where that cannot be) has no mutant: mypy asks it.
"""

from __future__ import annotations

from typing import Final

from tests.properties.mutants_of_actions import ACTIONS
from tests.properties.mutants_of_others import OTHERS
from tests.properties.mutants_of_planner import PLANNER
from tests.properties.mutants_of_versions import VERSIONS

MUTANTS: Final = (*PLANNER, *ACTIONS, *OTHERS, *VERSIONS)

# Modules that decide: all of these packages, and these. `mutation.strangers` says what they ask besides.
PACKAGES: Final = ("planner", "actions")
MODULES: Final = (
    *("offers", "ownership", "selection", "planfile"),
    *("steps/comparison", "steps/notes", "steps/repairs", "steps/sides", "steps/versions"),
)
# What these ask that decides nothing about a plan: values and words, what is written on hosts, and steps, which act.
ASKED: Final = frozenset(
    {
        *("__init__", "commands/__init__", "commands/switching", "errors", "keys", "model/__init__", "diff"),
        *("managed/__init__", "managed/config", "managed/files", "managed/workspace"),
        *(
            "steps/__init__",
            "steps/configuring",
            "steps/gateway",
            "steps/holds",
            "steps/labels",
            "steps/memory",
            "steps/mending",
            "steps/power",
            "steps/probing",
            "steps/replacing",
            "steps/reshape",
            "steps/rungs",
            "steps/server",
            "steps/spares",
            "steps/switching",
            "steps/work",
        ),
        "steps/firewalls",  # acts, but for `firewalls_in_use`, which has mutants
        "steps/requests",  # numbers, which tests/contract/test_requests.py measures
    }
)
# Functions that make words for people, or serve one that has mutants.
SPEAKING: Final = frozenset(
    {
        *("planner/policy._says", "planner/policy._servers", "planner/stock.few"),
        *("planner/notices._change_text", "planner/notices._diagnostic"),
        "planner/notices._about_earlier",  # tests/unit/test_kept_before.py
        *(
            "steps/comparison.with_host_key",
            "steps/comparison._is_new",
        ),  # tests/unit/test_probe_key.py, no world has one
        # tests/unit/test_steps_switching.py has what it refuses
        *("planner/versions.rollback_of", "planner/versions._there_are", "planner/versions._since"),
        *(
            "planner/versions.about_waking",
            "planner/versions.about_version",
            "planner/versions._afterwards",
            "planner/versions.last_way_back",
            "planner/rollout._waits",
        ),
        # what a person asks for rung by rung, or writes, and no plan has: tests/unit/test_cli_resuscitate.py
        *("actions/__init__.steps_of", "actions/resuscitate.reason", "actions/configure.reason"),
        "actions/update._crowded",  # tests/unit/test_rollouts.py
        # what an apply that was cut off has left: tests/unit/test_steps_switching.py, no world has one
        *("actions/update._cut_off", "planner/versions._about_open_switch"),
        *("planner/versions._undone_for", "planner/versions.left_for"),
        # which side has changed a key, for people, and what is noted for that: tests/unit/test_cli_config.py
        *("steps/sides.side_of", "steps/sides.config_digests", "steps/sides._digest"),
        *("planner/versions._age", "planner/versions._diagnostic"),
        # what a replacement has left: tests/unit/test_replacing.py and tests/crash/test_replacing.py have what is done
        *("ownership.Owned.servers", "ownership._too_many_successors"),
        *("steps/comparison._leftovers", "planner/__init__._servers_of", "actions/update._unended"),
        # what a bot shows: tests/unit/test_bot_profile.py has what is planned and done for it
        "planner/notices.about_spares",  # tests/unit/test_cli_rebuild.py
        *("planner/notices.about_bot", "steps/comparison._profile_changes", "steps/comparison.profile_digest"),
        "steps/notes._bot_as_declared",
        *(
            "offers.alternatives",
            "steps/comparison.noted_digests",
            "steps/comparison.keeping_networks",
            "steps/comparison.keeping_left_alone",
            "steps/comparison._keeping",
            "selection._some",
            "selection.not_declared",
        ),
    }
)

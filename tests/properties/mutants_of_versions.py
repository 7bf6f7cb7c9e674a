"""The rules of versions as mutants: what is held, what is a way down, who goes when."""

from __future__ import annotations

from typing import Final

from tests.properties.mutant import of

VERSIONS: Final = (
    *of(
        "actions/replace",
        ("is_locked_out(child) or _goes_down(child)", "is_locked_out(child)"),
        ("way_down(pinned(child.spec, child.facts).version, child.facts) is not None", "True"),
    ),
    *of(
        "steps/versions",
        ("if is_held(spec, facts) or has_no_way_down(spec, facts):", "if has_no_way_down(spec, facts):"),
        ("if is_held(spec, facts) or has_no_way_down(spec, facts):", "if is_held(spec, facts):"),
        (
            "version=present(facts) or spec.version)\n    return spec",
            "version=linked(facts) or spec.version)\n    return spec",
        ),
        ("    if facts.switch is not None:\n        return facts.switch.origin\n", ""),
        ("return linked(facts) or (facts.applied.version if facts.applied else None)", "return linked(facts)"),
        ("held = quarantined.get(spec.version) if spec is not None else None", "held = None"),
        ("return facts if held is None or has_own else replace(facts, held=held)", "return facts"),
        ('value_at(found, ("complete",)) is True and ', ""),
        (' and str(value_at(found, ("link",))).endswith(f"/{version}")', ""),
        ("facts.held.version == spec.version and ", ""),
        (" and present(facts) not in (None, spec.version)", ""),
        (" or (facts.applied and facts.applied.version == spec.version):", ":"),
        (
            "    if facts.switch is not None and facts.switch.target == spec.version:\n        return False",
            "    if False:\n        return False",
        ),
        ("return not is_higher(spec.version, now) and spec.version", "return spec.version"),
        (" and spec.version != now and way_down", " and way_down"),
        (" and way_down(spec.version, facts) is None", ""),
        ("if now is None or now == version or is_higher(version, now):", "if now is None or now == version:"),
        ("if now is None or now == version or is_higher(version, now):", "if now is None or is_higher(version, now):"),
        (
            "for found in reversed(facts.checkpoints) if found.version == version), None)",
            "for found in facts.checkpoints), None)",
        ),
        ("return _rank(version) > _rank(than)", "return version > than"),
        ('tuple(int(part) for part in base.split("."))', 'tuple(base.split("."))'),
    ),
    *of(
        "planner/versions",
        (
            "or not shall_run(child, situation):\n        return None\n    if is_held",
            "or False:\n        return None\n    if is_held",
        ),
        (" or wakes(child) or child.name", " or child.name"),
        ("return child.asleep is not None and child.server is None", "return True"),
        ("if is_held(spec, facts) and facts.held == situation.quarantined.get(spec.version):", "if False:"),
        ("    if is_held(spec, facts):\n", "    if False:\n"),
        ("    if has_no_way_down(spec, facts):\n", "    if False:\n"),
        (" or child.name in situation.options.retry:", ":"),
        ("held is None or not shall_run(child, situation) or", "True or"),
        (' if not diagnostic.address.startswith(f"{QUARANTINE}.")]', "]"),
        ('if it.address == f"{QUARANTINE}.{version}"]', "]"),
        ("Severity.WARNING if waiting else Severity.NOTE", "Severity.NOTE"),
        ("not (is_other or action.rollback)", "not is_other"),
        ("not (is_other or action.rollback)", "False"),
        ("return action.rollback.checkpoint", "return None"),
        ("return way_down(pinned(child.spec, child.facts).version, child.facts)", "return None"),
    ),
    *of(
        "planner/rollout",
        (
            "moving = [action.child for action in actions if is_switch(action, children[action.child])]",
            "moving = [action.child for action in actions]",
        ),
        ("enumerate(_batches(rollout, moving), 1)", "enumerate(_batches(rollout, moving), 0)"),
        (
            "key=lambda action: (action.wave, action.batch, action.child))",
            "key=lambda action: (action.wave, action.child))",
        ),
        ("if action.rollback or child.facts is None", "if child.facts is None"),
        ('return any(change.path == "release.version" for', 'return any("release" in change.path for'),
        ("[name for name in names if name not in canaries]", "names"),
        ("rollout.batch.of(len(names)) if isinstance(rollout.batch, Percent) else rollout.batch", "10"),
        ("    if canaries:\n        yield canaries\n", ""),
        ("return names[: rollout.canaries]", "return names[:1]"),
        ("if any(fnmatchcase(name, pattern) for pattern in rollout.canaries)]", "if name in rollout.canaries]"),
    ),
    *of(
        "planner/judging",
        (", versions.stays_at_version(child, situation))", ")"),
        ("if new_server and (found := versions.is_quarantined(child, situation)):", "if False:"),
        ("retries=child.name in situation.options.retry,", ""),
        ("rollback=situation.options.rollback.get(child.name),", ""),
        ("        *versions.about_switch(aimed, child, situation),\n", ""),
        ("        *versions.about_waking(child, situation),\n", ""),
    ),
    *of(
        "planner/__init__",
        (
            "*gathered((it for judgement in judged.values() for it in judgement.diagnostics), quarantined),",
            "*(it for judgement in judged.values() for it in judgement.diagnostics),",
        ),
    ),
    *of("actions/update", ("    if child.name in situation.options.rollback:\n", "    if False:\n")),
)

"""What ought to be planned for a child, told from its recipe alone: the rules once more, in other words.

Must not ask the planner, its actions or its comparisons anything.
"""

from __future__ import annotations

from typing import Final

from reconciler.model import Kind, PlanOptions, ReasonCode, Severity
from tests.properties.recipes import BACKUPS, BIND, FOUGHT, NETWORKS, PATH, PROTECTION, Recipe

Wanted = tuple[Kind, ReasonCode]

DISKS: Final = {"cx23": 40, "cx33": 80, "cx43": 160, "cpx22": 80, "cax11": 40, "cpx11": 40}
WITHDRAWN: Final = "withdrawn"  # these two only have to be noted
DECLARED: Final = "declared"
NEW_FILE: Final = "workspace files.N.md"
REGIONS: Final = ("nbg1", "fsn1", "hel1")  # every server is in nbg1
STOCK: Final = {"cx23": REGIONS, "cx33": REGIONS, "cpx22": ("nbg1", "fsn1"), "cax11": ("nbg1", "fsn1")}
ARM: Final = {"cax11"}
IMAGES: Final = {"debian-12": {"x86", "arm"}, "debian-13": {"x86"}}
MOVING: Final = {"initializing", "stopping", "deleting"}


def expected(name: str, recipe: Recipe, options: PlanOptions, prices: bool) -> Wanted | None:
    if blocked(name, recipe, options, prices):
        return None
    if is_unwanted(recipe):
        if not recipe.there:
            return None
        return Kind.DESTROY, ReasonCode.EXPIRED if recipe.declared else ReasonCode.REMOVED
    if shall_sleep(name, recipe, options) and recipe.there and not is_kept(recipe):
        return Kind.HIBERNATE, ReasonCode.ASKED if name in options.hibernate else ReasonCode.UNFINISHED
    if is_asleep(recipe):
        return None
    if not recipe.enabled:
        return _stopped(recipe)
    if not recipe.there:
        why = ReasonCode.ASKED if recipe.asleep else ReasonCode.GONE if recipe.record else ReasonCode.DECLARED
        made = (Kind.CREATE, why)
        return made if can_be_made(recipe, prices) else None
    return _running(name, recipe, options, prices)


def blocked(name: str, recipe: Recipe, options: PlanOptions, prices: bool) -> Severity | None:
    """How serious it is that nothing at all is planned for this child."""
    if recipe.obstacle:
        return Severity.ERROR
    if not recipe.there:
        return None
    if not recipe.declared and recipe.protect_label is not None:
        return Severity.REFUSED
    if recipe.status in MOVING and not is_made_in_vain(recipe):
        return Severity.WARNING
    if not shall_run(recipe) or (name in options.hibernate and not is_kept(recipe)):
        return Severity.ERROR if cannot_be_copied(name, recipe, options) else None
    if is_locked_out(recipe) or is_given_up(name, recipe, options, prices):
        return None
    if is_asked(recipe) and (recipe.silence or recipe.applied == "newer"):
        return Severity.ERROR
    return Severity.ERROR if recipe.silence else None


def is_given_up(name: str, recipe: Recipe, options: PlanOptions, prices: bool) -> bool:
    """Another server may take its place, and a person says that its memory is not wanted: then no host is needed."""
    may_go = options.may_replace(name) and name in options.without_copy and not is_kept(recipe)
    return may_go and (name in options.rebuild or needs_other_server(recipe, prices))


def cannot_be_copied(name: str, recipe: Recipe, options: PlanOptions) -> bool:
    """Its server shall go, a user may have told it something, and nobody can ask its host for that."""
    goes = is_unwanted(recipe) or (shall_sleep(name, recipe, options) and not is_kept(recipe))
    is_known_empty = not recipe.ready and recipe.untouched
    is_asked_when_it_goes = not recipe.ready and recipe.status != "off"
    has_memory = recipe.there and not (is_known_empty or is_asked_when_it_goes or recipe.throwaway)
    return goes and has_memory and not is_seen(recipe) and name not in options.without_copy


def is_asleep(recipe: Recipe) -> bool:
    return recipe.asleep in ("sleeps", "lost")


def shall_sleep(name: str, recipe: Recipe, options: PlanOptions) -> bool:
    return is_asleep(recipe) or name in options.hibernate


def shall_run(recipe: Recipe) -> bool:
    return recipe.declared and recipe.enabled and not is_asleep(recipe) and not is_unwanted(recipe)


def is_unwanted(recipe: Recipe) -> bool:
    return not recipe.declared or (is_over(recipe) and not is_kept(recipe))


def is_over(recipe: Recipe) -> bool:
    return recipe.declared and recipe.expires is not None and recipe.expires <= 0


def is_kept(recipe: Recipe) -> bool:
    """Whatever the file says now, as long as nobody has taken the label from the server."""
    return recipe.there and (recipe.protect_label is not None or (recipe.declared and recipe.protect))


def is_made_in_vain(recipe: Recipe) -> bool:
    return recipe.status == "initializing" and not recipe.ready and recipe.old


def is_locked_out(recipe: Recipe) -> bool:
    """It says nothing, and who may reach it is not what the file says, or was never proven."""
    return recipe.there and has_other_networks(recipe) and recipe.silence in ("timed out", "refused")


def has_other_networks(recipe: Recipe) -> bool:
    return recipe.unproven or recipe.ssh_from or recipe.shut


def is_asked(recipe: Recipe) -> bool:
    return recipe.there and recipe.status == "running" and recipe.ready


def is_seen(recipe: Recipe) -> bool:
    return is_asked(recipe) and not recipe.silence


def left_alone(name: str, recipe: Recipe, options: PlanOptions) -> tuple[str, ...]:
    """What was mended three times within a day and drifted again, and nobody says that it shall be mended once more."""
    if not recipe.declared or not is_seen(recipe) or recipe.applied == "lost" or name in options.repair:
        return ()
    contested = recipe.mended is not None and recipe.mended < 24
    often = {BACKUPS: contested, PROTECTION: recipe.often, NETWORKS: contested, PATH: contested, BIND: recipe.often}
    differing = [*cloud_differences(recipe), *host_differences(recipe)]
    return tuple(path for path, is_so in often.items() if is_so and path in differing and is_drift(path, recipe))


def can_be_made(recipe: Recipe, prices: bool) -> bool:
    return not prices or (not mixes(recipe) and first_to_be_had(recipe, prices) is not None)


def first_to_be_had(recipe: Recipe, prices: bool) -> tuple[str, str] | None:
    """Type and region. Without prices nobody knows what is in stock."""
    if not prices:
        return recipe.types[0], recipe.regions[0]
    types = [kind for kind in recipe.types if architecture(kind) in IMAGES.get(recipe.image, ())]
    offers = [(kind, region) for kind in types for region in recipe.regions if region in STOCK.get(kind, ())]
    return offers[0] if offers else None


def architecture(kind: str) -> str:
    return "arm" if kind in ARM else "x86"


def mixes(recipe: Recipe) -> bool:
    return len({architecture(kind) for kind in recipe.types if kind in DISKS}) > 1


def makes_other(name: str, recipe: Recipe, options: PlanOptions, prices: bool) -> bool:
    """Where it is allowed. Who is off starts first, unless its memory is given up: nobody can copy it as it is."""
    is_wanted = name in options.rebuild or needs_other_server(recipe, prices)
    starts_first = recipe.status == "off" and recipe.ready and name not in options.without_copy
    return is_wanted and not is_kept(recipe) and not starts_first


def needs_other_server(recipe: Recipe, prices: bool) -> bool:
    return bool(what_it_never_becomes(recipe, prices))


def what_it_never_becomes(recipe: Recipe, prices: bool) -> list[str]:
    """What the file says, and no server can be changed to."""
    known = [kind for kind in recipe.types if kind in DISKS]
    never = prices and recipe.server_type not in recipe.types and bool(known) and not fitting(recipe)
    said = {
        "image": recipe.image != "debian-12",
        "region": "nbg1" not in recipe.regions,
        "ipv4": not recipe.ipv4,
        "server_type": never,
    }
    return [word for word, is_so in said.items() if is_so]


def fitting(recipe: Recipe) -> list[str]:
    disk = (
        40 if recipe.small_disk else DISKS.get(recipe.server_type, 0)
    )  # nobody knows that of a type which the cloud has forgotten
    return [kind for kind in recipe.types if kind in DISKS and kind not in ARM and DISKS[kind] >= disk]


def resizable(recipe: Recipe) -> list[str]:
    """The fitting types that are to be had where the server is."""
    return [kind for kind in fitting(recipe) if "nbg1" in STOCK.get(kind, ())]


def _stopped(recipe: Recipe) -> Wanted | None:
    if not recipe.there:
        return None
    if recipe.status != "off":
        return Kind.STOP, ReasonCode.DISABLED
    return (Kind.STOP, ReasonCode.CHANGED) if cloud_differs(recipe) else None


def cloud_differs(recipe: Recipe) -> bool:
    return recipe.former_name or recipe.backups != recipe.server_backups or has_other_protection(recipe)


def has_other_protection(recipe: Recipe) -> bool:
    return recipe.protect_label != ("true" if recipe.protect else None)


def _running(name: str, recipe: Recipe, options: PlanOptions, prices: bool) -> Wanted | None:
    allowed = options.allow_replace if isinstance(options.allow_replace, bool) else name in options.allow_replace
    if is_locked_out(recipe) and not is_given_up(name, recipe, options, prices):
        return (Kind.UPDATE if recipe.ready else Kind.CREATE), ReasonCode.UNFINISHED
    if makes_other(name, recipe, options, prices) and allowed:
        why = ReasonCode.ASKED if name in options.rebuild else ReasonCode.CHANGED
        return (Kind.REPLACE, why) if can_be_made(recipe, prices) else None
    if not recipe.ready:
        return Kind.CREATE, ReasonCode.UNFINISHED
    if prices and recipe.server_type not in recipe.types and resizable(recipe):
        return Kind.RESIZE, ReasonCode.CHANGED
    return _mended(name, recipe, options) or _started(recipe)


def _mended(name: str, recipe: Recipe, options: PlanOptions) -> Wanted | None:
    if not is_seen(recipe):
        return None
    changes, drifts = to_mend(name, recipe, options)
    if changes and not drifts and set(changes) <= {WITHDRAWN, DECLARED}:
        return _noted(recipe)
    if changes:
        return Kind.UPDATE, ReasonCode.CHANGED
    if drifts:
        return Kind.UPDATE, ReasonCode.DRIFTED
    return (Kind.UPDATE, ReasonCode.UNFINISHED) if recipe.applied in ("lost", "begun") else None


def _noted(recipe: Recipe) -> Wanted | None:
    """Nothing differs; what has to be started comes first."""
    if recipe.applied == "begun":
        return Kind.UPDATE, ReasonCode.UNFINISHED
    runs = recipe.gateway == "running" and not recipe.stale
    return (Kind.UPDATE, ReasonCode.CHANGED) if runs else None


def to_mend(name: str, recipe: Recipe, options: PlanOptions) -> tuple[list[str], list[str]]:
    """What the file changed, and what somebody else did."""
    left = left_alone(name, recipe, options)
    differing = [path for path in [*cloud_differences(recipe), *host_differences(recipe)] if path not in left]
    drifts = [path for path in differing if is_drift(path, recipe)]
    changes = cloud_changes(recipe, left) + (["version"] if recipe.changed and not recipe.latest else [])
    changes += [path for path in differing if path not in drifts]
    changes += [NEW_FILE] if recipe.files == "new" else []
    changes += to_note(recipe)
    if recipe.applied == "lost":  # then nobody knows who changed it
        return changes + drifts, []
    return changes, drifts


def to_note(recipe: Recipe) -> list[str]:
    """What is as the file says, and was not the file's when it was applied, or is no more."""
    found = {WITHDRAWN: recipe.withdrawn, DECLARED: recipe.files == "there"}
    return [word for word, is_so in found.items() if is_so and is_seen(recipe) and recipe.applied != "lost"]


def comes_with_a_resize(name: str, recipe: Recipe, options: PlanOptions) -> bool:
    """Of a host that nobody has looked at only the cloud tells what differs. Another version comes after it."""
    if not is_seen(recipe):
        return differs_at_cloud(recipe)
    return any(path != "version" for paths in to_mend(name, recipe, options) for path in paths)


def differs_at_cloud(recipe: Recipe) -> bool:
    return bool(cloud_changes(recipe) or cloud_differences(recipe))


def host_differences(recipe: Recipe) -> list[str]:
    """What a new version changes there is not among it."""
    config = [BIND, "config"] if recipe.config_drift else []
    return [*([PATH] if recipe.drift else []), *(["bot token"] if recipe.secret_drift else []), *config]


def is_drift(path: str, recipe: Recipe) -> bool:
    """The file says what it said: of labels all together, but for those that were mended of late."""
    if path in (BACKUPS, PROTECTION, NETWORKS) and recipe.rewritten:
        return False
    is_one_of_many = path in (PROTECTION, NETWORKS) and not (path in FOUGHT and recipe.often)
    return not (is_one_of_many and recipe.withdrawn)


def cloud_changes(recipe: Recipe, left: tuple[str, ...] = ()) -> list[str]:
    networks = [NETWORKS] if recipe.unproven and NETWORKS not in left else []
    return [*(["name"] if recipe.former_name else []), *networks]


def cloud_differences(recipe: Recipe) -> list[str]:
    """Backups, protection, and who may reach SSH."""
    found = {
        BACKUPS: recipe.backups != recipe.server_backups,
        PROTECTION: has_other_protection(recipe),
        NETWORKS: is_moved(recipe),
    }
    return [path for path, is_so in found.items() if is_so]


def is_moved(recipe: Recipe) -> bool:
    """It is under another cloud firewall than the file's."""
    return recipe.ssh_from or (recipe.shut and not recipe.unproven)


def _started(recipe: Recipe) -> Wanted | None:
    if recipe.status == "off":
        return Kind.START, ReasonCode.STOPPED
    if not is_seen(recipe):
        return None
    if recipe.gateway in ("stopped", "failed", "failing"):
        return Kind.START, ReasonCode.STOPPED
    return (Kind.RESTART, ReasonCode.STALE) if recipe.stale else None

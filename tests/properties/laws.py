"""Every law of the planner; the order is that in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from reconciler.model import Plan
from tests.properties import laws_of_actions, laws_of_advice, laws_of_words
from tests.properties.cases import Case

Law = Callable[[Case, Plan], None]

LAWS: Final[tuple[Law, ...]] = (
    laws_of_actions.the_right_action_for_the_right_reason,
    laws_of_actions.a_silent_child_is_only_switched_off_or_deleted,
    laws_of_actions.a_server_that_exists_is_not_made_again,
    laws_of_actions.a_protected_child_keeps_its_server,
    laws_of_actions.nobody_loses_a_server_unasked,
    laws_of_actions.no_memory_goes_without_a_copy_unless_somebody_says_so,
    laws_of_actions.who_sleeps_is_not_made_a_server_before_it_wakes,
    laws_of_actions.who_was_off_is_brought_to_the_file_by_its_start,
    laws_of_actions.the_order_of_children_does_not_matter,
    laws_of_actions.the_record_only_gives_words,
    laws_of_actions.a_part_of_the_fleet_is_planned_as_in_the_whole,
    laws_of_actions.waves_come_in_their_order,
    laws_of_actions.no_more_is_deleted_than_may_be,
    laws_of_actions.what_policy_forbids_is_refused,
    laws_of_words.who_is_not_planned_for_is_told_why,
    laws_of_words.what_takes_a_new_server_is_said,
    laws_of_words.what_protection_keeps_says_how_to_let_it_go,
    laws_of_advice.what_the_cloud_does_not_have_is_said,
    laws_of_advice.what_can_be_had_instead_is_said,
    laws_of_actions.what_is_aimed_at_is_the_first_that_can_be_had,
    laws_of_words.what_is_mended_again_and_again_waits_for_a_person,
    laws_of_words.who_expires_is_told_of,
    laws_of_advice.who_sleeps_is_told_what_it_costs,
    laws_of_advice.who_is_asleep_is_said_to_be,
    laws_of_advice.retired_types_are_noted,
    laws_of_words.each_child_stands_to_the_file_as_its_world_says,
    laws_of_words.every_action_says_why,
    laws_of_words.a_secret_is_in_no_output,
    laws_of_actions.a_resize_brings_all_other_changes_along_but_a_version,
    laws_of_actions.whose_each_thing_is_gets_noted,
    laws_of_actions.what_is_not_the_files_stays,
    laws_of_words.each_action_says_what_it_changes_in_the_bill,
    laws_of_words.the_bill_is_the_sum_of_its_parts,
    laws_of_words.requests_are_added_up,
    laws_of_words.whoever_asks_for_more_than_is_left_is_warned,
    laws_of_advice.what_an_action_gives_up_is_said,
    laws_of_advice.older_servers_are_counted,
    laws_of_actions.shared_things_are_left_alone_by_who_asks_for_some,
    laws_of_actions.a_firewall_is_said_to_go_when_no_server_stays_under_it,
)

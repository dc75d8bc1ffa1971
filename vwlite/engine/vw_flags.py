"""Flags of Vowpal Wabbit 9.11 that vwlite does not have; imported only to answer one that was typed."""

from __future__ import annotations

# What does the same, or comes nearest.
INSTEAD = {
    "active": "Workspace.sensitivity() tells which labels are worth asking for",
    "bag": "--thompson explores by the posterior of one model",
    "bfgs": "--square and --logistic fit all examples of a pass at once",
    "cb": "--cb_adf learns decisions, with a line for each action",
    "cb_explore": "--cb_explore_adf makes decisions, with a line for each action",
    "conjugate_gradient": "--square and --logistic fit all examples of a pass at once",
    "cover": "--thompson explores by the posterior of one model",
    "csv": "write lines of text first",
    "extra_metrics": "--report adds figures to the summary",
    "marginal": "--random_effect has a coefficient for each value of a namespace",
    "regcb": "--explore ucb",
    "softmax": "--cb_explore_adf --epsilon, or --thompson",
    "squarecb": "--cb_explore_adf --epsilon, or --thompson",
}

ALL = """
OjaNewton action_cache_slack active active_cover adax affix alg all_slots_loss alpha alpha_inverse audit_regressor
autolink automl automl_significance_level bag bandwidth baseline baseline_challenger_cb batch_sz
batch_sz_no_doubling bern_hyper beta_scale bfgs block_size bonferroni_denominator boosting bootstrap bs_type cats
cats_pdf cats_tree cb cb_c_alpha cb_c_tau cb_discrete cb_dro cb_dro_alpha cb_dro_tau cb_dro_wmax cb_explore
cb_explore_pdf cb_force_legacy cb_max_cost cb_min_cost cb_sample cb_to_cbadf cbify cbify_cs
cbify_ldf cbify_reg cbzo ccb_explore_adf ccb_no_slot_index challenger_epsilon check_enabled
choices_lambda compete compressed confidence confidence_after_training conjugate_gradient
constant_epsilon corrupt_prob_warm_start corrupt_type_warm_start cost_max cost_min cover cs_active
csa_debug csv csv_header csv_no_file_header csv_ns_value csv_separator csv_trace
debug_reversed_learn decay default_lease degree dictionary dictionary_path direct domination
dont_output_best_constant dream_at_update dream_repeats driver_output driver_output_off dropout
dump_json_weights_experimental dump_json_weights_include_extra_online_state_experimental
dump_json_weights_include_feature_names_experimental ect elim emt emt_initial emt_leaf emt_router emt_scorer
emt_tree epoch_size epsilon_decay epsilon_decay_audit epsilon_decay_significance_level error eval
example_queue_limit exclude_eval experimental_full_name_interactions experimental_igl explore_eval extra_metrics
feature_mask fepsilon first fixed_significance_level flatbuffer flip_loss_sign flipschitz_const freegrad gamma
gamma_exponent gamma_scale get_pmf global_only graph_feedback greedify hessian_on
hexfloat_weights id ignore_features_dsjson_experimental initial_denominator initial_epsilon
initial_numerator initial_pass_length inpass input_feature_regularizer interact interaction interaction_type
interaction_update kary_tree kernel ksvm l1_state l2_state lambda lambda_scheme large_action_space
las_hint_explicit_simd lda lda_D lda_alpha lda_epsilon lda_rho ldf_override leaf_example_multiplier learn
learn_at_leaf learning_rate_cnt limit_output log_level log_multi log_output loss0 loss1 loss_01_ratio loss_option
loss_report lr_multiplier lrqfa marginal max_actions max_candidates max_depth max_labels
max_number_of_labels max_value meanfield mellowness mem memory_tree metrics min_champ_examples min_labels min_scope
min_value minibatch model_count multiplier multitask multiworld_test new_mf ngram nn
no_bias_regularization no_daemon no_predict no_progress node node_only noop normal_weights normalize nounif
oas online opt_func oracle_type oracular ot output_feature_regularizer_binary
output_feature_regularizer_text overwrite_label para_active per_model_save_load plt
plt_force_load_legacy_model pmf_to_pdf policy pool_greedy pool_size print priority_challengers priority_type
project psi radius random_init random_weights randomized_routing range_c rank recall_tree
regcb regcbopt replay_b replay_b_count replay_c replay_c_count replay_m replay_m_count reprocess restart
reward_as_cost ring_size rnd rnd_alpha rnd_invlambda sample_pdf sched_exponent search search_active_verify
search_allowed_transitions search_alpha search_beta search_history_length search_interpolation
search_linear_ordering search_metatask search_neighbor_features search_no_caching search_passes_per_policy
search_perturb_oracle search_rollin search_rollout search_rollout_num_steps search_save_every_k_runs
search_subsample_time search_task search_total_nb_policies search_trained_nb_policies search_xv sendto
shift_model_bounds sim_bandit simulation sketch_size skips slates softmax sort_features span_server span_server_port
spanner_c sparse_weights spelling squarecb stage_poly stage_size subsample svrg swap_resistance synthcover
synthcoverpsi synthcoversize target_rate termination thread_pool_size threshold tol_x top top_K top_k total
tree_bandwidth truncated_normal_weights two_pass_svd unique_id unweighted_marginals update_before_learn
verbose_metrics wap_ldf warm_cb warm_cb_cs warm_start warm_start_update
"""
NAMES = frozenset(ALL.split())


def answer(name: str) -> str | None:
    """The end of a message about an unknown flag that is one of Vowpal Wabbit's; None if it is not.

    >>> answer("regcb")
    ': Vowpal Wabbit has it, vwlite has not: --explore ucb'
    """
    if name not in NAMES:
        return None
    return ": Vowpal Wabbit has it, vwlite has not" + (f": {INSTEAD[name]}" if name in INSTEAD else "")

"""Bandit problems, policies at play in them, and logs replayed: against closed forms, known truths and plain numpy."""

import math

import numpy as np
import pytest

from vwlite import Workspace
from vwlite.bandit.replay import check, read_lines, read_log
from vwlite.bandit.simulation import (
    Game,
    Player,
    costs_of,
    fitting,
    learner_flags,
    marks_of,
    play,
    play_seed,
    read_policies,
    spell,
)
from vwlite.bandit.worlds import Ads, Arms, Pool
from vwlite.engine.multiline_driver import MultilineDriver
from vwlite.errors import OptionError, ParseError

WORLDS = [Arms(5, 0.2), Pool(5, 0.01), Ads(40, 5, 0.02)]


@pytest.fixture(params=WORLDS, ids=lambda world: type(world).__name__)
def world(request):
    return request.param


def game(world, policies="thompson,greedy,random", rounds=600, delay=1, flags=()):
    chosen = learner_flags(world, flags)
    players = read_policies(policies, chosen)
    return Game(world, players, rounds, delay, marks_of(rounds), costs_of(players[0]))


def final(plays, i):
    """The regret at the end of the i-th policy, of each seed."""
    return np.array([seed[i].curve[-1] for seed in plays])


def nobody(rounds):
    pass


def table(world, seed, total):
    return [
        row
        for rounds in world.rounds(seed, total)
        for row in zip(rounds.decisions, rounds.expected, rounds.rewarded, rounds.best, strict=True)
    ]


# Worlds


def test_a_world_is_a_function_of_its_seed(world):
    assert table(world, 3, 1500) == table(world, 3, 1500)
    assert table(world, 3, 1500) != table(world, 4, 1500)


def test_a_longer_play_begins_like_a_shorter_one(world):
    assert table(world, 3, 2300)[:1100] == table(world, 3, 1100)


def test_a_round_has_a_line_an_action(world):
    for rounds in world.rounds(1, 1200):
        for decision, expected, rewarded, best in zip(
            rounds.decisions, rounds.expected, rounds.rewarded, rounds.best, strict=True
        ):
            assert len(decision) - rounds.shared == len(expected) == len(rewarded)
            assert len(set(decision)) == len(decision)
            assert best == max(expected)
            assert all(0 < p < 1 for p in expected)


def test_rewards_come_as_often_as_expected(world):
    rows = table(world, 5, 20_000)
    expected = np.concatenate([row[1] for row in rows])
    rewarded = np.concatenate([row[2] for row in rows])
    error = math.sqrt(np.sum(expected * (1 - expected)))
    assert abs(rewarded.sum() - expected.sum()) < 4 * error


def test_the_best_of_the_arms_is_any():
    best = {max(range(5), key=table(Arms(5, 0.2), seed, 1)[0][1].__getitem__) for seed in range(40)}
    assert best == set(range(5))


def test_actions_of_the_pool_come_from_beta_4_4_and_go():
    rows = table(Pool(5, 0.05), 2, 20_000)
    rates: dict[bytes, float] = {}
    for decision, expected, _, _ in rows:
        rates.update(zip(decision, expected, strict=True))
    assert abs(len(rates) - 5 - 1000) < 4 * math.sqrt(1000)
    values = np.array(list(rates.values()))
    assert np.mean(values) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 36 / len(values)))
    assert np.var(values) == pytest.approx(1 / 36, rel=0.2)


def test_an_ad_that_is_replaced_has_another_name():
    names = {line for row in table(Ads(40, 5, 0.05), 1, 4000) for line in row[0][1:]}
    assert len(names) > 140
    assert len({line for row in table(Ads(40, 5, 0.0), 1, 4000) for line in row[0][1:]}) == 40


def test_on_average_so_many_ads_are_eligible():
    sizes = [len(row[1]) for row in table(Ads(40, 5, 0.0), 1, 4000)]
    assert set(sizes) == set(range(1, 10))
    assert np.mean(sizes) == pytest.approx(5, abs=0.2)


# Policies at play


def test_the_regret_of_random_is_what_it_must_be():
    plays = play(game(Arms(10, 0.1), "random", 5000), range(8), 1, nobody)
    chance = 5000 * 8 * 0.9
    error = 0.1 * math.sqrt(chance * 0.1)
    assert final(plays, 0).sum() == pytest.approx(0.1 * chance, abs=4 * error)


def test_thompson_beats_the_others_where_one_action_is_much_better():
    policies = "thompson,optimistic,ucb,epsilon:0.1,greedy,random"
    learner = [
        "--bayes_logistic",
        "--posterior",
        "diagonal",
    ]  # with a constant: no action looks good unseen
    plays = play(game(Arms(10, 0.2), policies, 8000, flags=learner), range(10), 1, nobody)
    regrets = dict(zip(policies.split(","), (final(plays, i) for i in range(6)), strict=True))
    for other in ("epsilon:0.1", "greedy", "random"):
        more = regrets[other] - regrets["thompson"]
        assert more.mean() > 2 * more.std(ddof=1) / math.sqrt(10), other
    assert np.median(regrets["optimistic"]) < regrets["random"].mean() / 4  # it stays with a worse one in some seeds
    assert regrets["ucb"].mean() < regrets["random"].mean() / 2


def beta_bernoulli(world, seed, total):
    """Thompson sampling with a Beta(4, 4) posterior for each action, in numpy: an outside opinion on `pool`."""
    source = np.random.default_rng(seed)
    regret = 0.0
    counts: dict[bytes, list[int]] = {}
    for decision, expected, rewarded, best in table(world, seed, total):
        draws = [source.beta(*counts.setdefault(line, [4, 4])) for line in decision]
        taken = int(np.argmax(draws))
        counts[decision[taken]][not rewarded[taken]] += 1
        regret += best - expected[taken]
    return regret


def test_thompson_loses_what_thompson_sampling_with_the_exact_posterior_loses():
    world, total, seeds = Pool(10, 0.001), 3000, range(20)
    ours = final(play(game(world, "thompson", total), seeds, 1, nobody), 0)
    exact = np.array([beta_bernoulli(world, seed, total) for seed in seeds])
    difference = ours - exact
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / math.sqrt(len(seeds))
    chance = final(play(game(world, "random", total), seeds, 1, nobody), 0)
    assert max(ours.mean(), exact.mean()) < 0.15 * chance.mean()


def test_delay_costs_regret():
    world = Arms(10, 0.3)
    prompt, late = (final(play(game(world, "thompson", 3000, d), range(6), 1, nobody), 0).mean() for d in (1, 500))
    assert late > 1.3 * prompt


@pytest.mark.parametrize("delay", [1, 7, 1000, 5000])
def test_before_the_first_costs_are_known_nothing_is(delay):
    """Greedy has nothing to go by until then, and draws lots like random."""
    rounds = min(delay, 2000)
    regret = final(play(game(Arms(4, 0.4), "greedy", rounds, delay), range(20), 1, nobody), 0)
    wrong = 0.75 * rounds * 20
    assert regret.sum() == pytest.approx(0.4 * wrong, abs=0.4 * 4 * math.sqrt(wrong / 4) + 1e-9)


def test_what_is_learned_from_the_line_taken_is_what_is_learned_from_the_whole_decision(world):
    (policy,) = read_policies("thompson", learner_flags(world, ["--ts_samples", "5"]))
    one, whole = Workspace([*policy.flags, "--random_seed", "3"]), Workspace([*policy.flags, "--random_seed", "3"])
    for decision, _, rewarded, _ in table(world, 2, 100):
        shared = int(decision[0].startswith(b"shared"))
        results = one.learn([*decision, b""])
        assert whole.learn([*decision, b""]) == results
        taken, p = results[0][0]
        line = b"0:%d:%f " % (-rewarded[taken], p) + decision[shared + taken]
        one.learn([*decision[:shared], line, b""])
        whole.learn([*decision[: shared + taken], line, *decision[shared + taken + 1 :], b""])
    last = table(world, 2, 101)[100][0]
    assert one.predict(last) == whole.predict(last)


@pytest.mark.parametrize("delay", [1, 3, 1000])
def test_a_play_is_what_a_user_of_the_workspace_would_do(delay):
    world = Arms(4, 0.3)
    ours = play_seed(game(world, "thompson", 1100, delay), 5)[0]
    (policy,) = read_policies("thompson", learner_flags(world, []))
    workspace, regret = Workspace([*policy.flags, "--random_seed", "5"]), 0.0
    waiting: list[list[bytes]] = []
    for i, (decision, expected, rewarded, best) in enumerate(table(world, 5, 1100)):
        if i % delay == 0:
            for lines in waiting:
                workspace.learn(lines)
            waiting = []
        action, p = workspace.learn(decision)[0][0]
        regret += best - expected[action]
        waiting.append([b"0:%d:%g " % (-rewarded[action], p) + decision[action]])
    assert ours.curve[-1] == pytest.approx(regret, abs=1e-9)


def test_the_curve_is_the_regret_after_each_mark(world):
    long = game(world, "thompson", 1700)
    (whole,) = play_seed(long, 1)
    assert np.all(np.diff(whole.curve) >= 0)
    assert len(whole.curve) == len(long.marks)
    for mark in (1, *long.marks[[40, 60]].tolist()):
        (part,) = play_seed(game(world, "thompson", mark), 1)
        assert part.curve[-1] == pytest.approx(whole.curve[list(long.marks).index(mark)], abs=1e-9)


def test_marks_end_with_the_last_round():
    for rounds in (1, 2, 50, 12_345, 10**7):
        marks = marks_of(rounds)
        assert marks[0] == 1
        assert marks[-1] == rounds
        assert np.all(np.diff(marks) > 0)
        assert len(marks) <= 100


def test_who_else_plays_changes_nothing(world):
    alone = play_seed(game(world, "greedy"), 4)[0]
    together = play_seed(game(world, "thompson,ucb,greedy,random"), 4)[2]
    assert alone.curve.tolist() == together.curve.tolist()
    assert alone.cost == together.cost


def test_the_number_of_processes_changes_nothing(world):
    def curves(jobs):
        return [[each.curve.tolist() for each in seed] for seed in play(game(world), range(1, 6), jobs, nobody)]

    assert curves(1) == curves(2) == curves(5)


def test_progress_counts_every_decision(world):
    for jobs in (1, 3):
        counted: list[int] = []
        play(game(world, "thompson,random", 1200), range(3), jobs, counted.append)
        assert sum(counted) == 3 * 2 * 1200


def test_other_costs_than_minus_one_and_zero_are_played_with():
    some = game(Arms(4, 0.3), "thompson", 500, flags=["--cost_range", "2,7"])
    other = game(Arms(4, 0.3), "thompson", 500)
    assert play_seed(some, 1)[0].curve.tolist() == play_seed(other, 1)[0].curve.tolist()
    assert 2 * 500 < play_seed(some, 1)[0].cost < 7 * 500


def test_a_saved_model_plays_on_with_its_own_options(tmp_path):
    world = Arms(4, 0.4)
    (policy,) = read_policies("greedy", learner_flags(world, ["--cost_range", "2,7"]))
    workspace = Workspace(policy.flags)
    for decision, _, rewarded, _ in table(world, 1, 400):
        for k, line in enumerate(decision):
            workspace.learn([b"0:%d:1 " % (2 if rewarded[k] else 7) + line])
    workspace.save(tmp_path / "model")
    some = game(world, "greedy,random", 100, flags=["-i", str(tmp_path / "model")])
    assert some.costs == (2, 7)
    greedy, random = play_seed(some, 1)
    assert greedy.curve[-1] == 0 < random.curve[-1]


# Flags


def test_to_name_a_learner_replaces_the_problems_own():
    assert learner_flags(Ads(40, 5, 0.0), ["--ts_alpha", "0.5"]).keys() >= {"bayes_logistic", "quadratic", "ts_alpha"}
    linear = learner_flags(Ads(40, 5, 0.0), ["--bayes_linear"])
    assert linear == {"ts_samples": 1, "quadratic": ["uc"], "bayes_linear": True}
    assert learner_flags(Ads(40, 5, 0.0), ["-q", "aa"])["quadratic"] == ["aa"]
    assert learner_flags(Arms(4, 0.1), ["--l2", "3"])["l2"] == 3


def test_flags_that_were_found_once_are_found_again(world):
    flags = learner_flags(world, ["--ts_alpha", "0.5", "--bayes_linear", "--l2", "0.1"])
    assert learner_flags(world, spell(flags)) == flags
    usual = learner_flags(world, [])
    assert learner_flags(world, spell(usual)) == usual


def test_the_number_behind_a_policy_is_the_width_of_its_exploration():
    flags = learner_flags(Arms(4, 0.1), ["--ts_alpha", "3", "--explore_rate", "0.5"])
    policies = read_policies("thompson,thompson:0.5,optimistic:2,ucb:4,epsilon:0,greedy", flags)
    found = {policy.name: Workspace(policy.flags).options for policy in policies}
    assert found["thompson"]["ts_alpha"] == 3
    assert found["thompson:0.5"]["ts_alpha"] == 0.5
    assert found["optimistic:2"]["ts_alpha"] == 2 and found["optimistic:2"]["ts_optimistic"]
    assert found["ucb:4"]["ucb_alpha"] == 4
    assert found["epsilon:0"]["explore_rate"] == 0
    assert found["greedy"]["explore"] == "greedy"


# Replay


def logged(path, total, seed, q=(0.2, 0.3, 0.5)):
    """A log of three actions whose mean costs are -0.3, -0.5 and -0.4 for a, and -0.6, -0.2, -0.4 for b."""
    source = np.random.default_rng(seed)
    lines = []
    for i in range(total):
        user = int(source.random() < 0.3)
        taken = int(source.choice(3, p=q))
        cost = -1 if source.random() < ((0.3, 0.5, 0.4), (0.6, 0.2, 0.4))[user][taken] else 0
        lines.append(f"shared 'd{i}|u {'ab'[user]}")
        lines += [(f"{k}:{cost}:{q[k]} " if k == taken else "") + f"|a a{k}" for k in range(3)]
        lines.append("")
    path.write_text("\n".join(lines) + "\n")
    return path


def log_of(path, accept=None, limit=None):
    return read_log(str(path), read_lines(str(path)), accept, limit)


def test_a_logged_decision_is_read_with_its_label(tmp_path):
    path = tmp_path / "log"
    path.write_text(
        "\n\nshared 't|u x\n|a p\n1:-1:0.25 'q|a r \n\n 0:2.5e-1:1 t|a\n|b\r\n\r\n***shared*** |s\nold\t0:0:0.5  |a\n"
    )
    first, second, third = log_of(path).events
    assert first[0] == [b"shared 't|u x", b"|a p", b" 'q|a r "]
    assert first[1:2] + first[3:] == (1, 1, -1, 0.25)
    assert second[1:2] + second[3:] == (0, 0, 0.25, 1)
    assert third[1:2] + third[3:] == (1, 0, 0, 0.5)
    workspace = Workspace("--explore uniform")
    with_labels = workspace.predict([line for event in (first, second, third) for line in event.feedback])
    without = workspace.predict([line for event in (first, second, third) for line in (*event.decision, b"")])
    assert with_labels == without
    assert decisions_of(workspace).policy.off_policy.n == 0


def decisions_of(workspace: Workspace) -> MultilineDriver:
    assert isinstance(workspace.driver, MultilineDriver)
    return workspace.driver


def test_a_fixed_policy_costs_what_it_would_have_cost(tmp_path):
    """Random and the best action known beforehand: their true mean costs are 0.7 * 0.4 + 0.3 * 0.4 and so on."""
    log = log_of(logged(tmp_path / "log", 20_000, 1))
    assert log.accept == 0.2
    plays = play(game(log, "random", 20_000), range(2), 1, nobody)
    for (found,) in plays:
        assert found.counted == pytest.approx(0.2 * 20_000, abs=4 * math.sqrt(20_000 * 0.2 * 0.8))
        assert found.cost / found.counted == pytest.approx(-0.4, abs=4 * found.errors[-1])
        assert found.errors[-1] == pytest.approx(math.sqrt(0.24 / found.counted), rel=0.01)


def test_a_policy_that_learns_is_estimated_without_bias(tmp_path):
    """The mean over many logs is what the same policy pays when it meets the world itself, in as many rounds."""
    flags = ["-q", "ua", "--bayes_logistic", "--ts_samples", "1"]
    estimates, truths = [], []
    for seed in range(40):
        log = log_of(logged(tmp_path / "log", 400, seed))
        (found,) = play_seed(game(log, "thompson", 400, flags=flags), seed)
        estimates.append(found.cost / found.counted)
        truths.append(online(flags, found.counted, seed + 1000))
    error = math.sqrt((np.var(estimates) + np.var(truths)) / 40)
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=3 * error)
    assert np.mean(estimates) < -0.42


def online(flags, rounds, seed):
    """The mean cost that Thompson sampling pays in the world of `logged`."""
    source = np.random.default_rng(seed)
    workspace = Workspace(["--thompson", *flags, "--random_seed", str(seed)])
    paid = 0
    for _ in range(rounds):
        user = int(source.random() < 0.3)
        shared, lines = f"shared |u {'ab'[user]}", [f"|a a{k}" for k in range(3)]
        taken = workspace.learn([shared, *lines])[0][0][0]
        cost = -1 if source.random() < ((0.3, 0.5, 0.4), (0.6, 0.2, 0.4))[user][taken] else 0
        workspace.learn([shared, f"0:{cost}:1 {lines[taken]}"])
        paid += cost
    return paid / rounds


def test_counting_every_match_of_a_log_that_is_not_uniform_is_biased_and_counting_some_is_not(tmp_path):
    """Contexts in which the logging policy did as random does would count too often; here a rare user tells."""
    lines = []
    source = np.random.default_rng(1)
    for _ in range(20_000):
        rare = source.random() < 0.5
        q = (0.9, 0.1) if rare else (0.5, 0.5)
        taken = int(source.random() < q[1])
        cost = -1 if rare == (taken == 0) else 0  # of two users one likes the first action, one the second
        lines += [(f"{k}:{cost}:{q[k]} " if k == taken else "") + f"|a a{k} r{int(rare)}" for k in range(2)]
        lines.append("")
    (tmp_path / "log").write_text("\n".join(lines))
    (fair,) = play_seed(game(log_of(tmp_path / "log"), "random", 20_000), 1)
    (biased,) = play_seed(game(log_of(tmp_path / "log", accept=1.0), "random", 20_000), 1)
    assert fair.cost / fair.counted == pytest.approx(-0.5, abs=4 * fair.errors[-1])
    assert biased.cost / biased.counted < -0.55
    assert biased.counted > 3 * fair.counted


def test_a_replay_learns_from_what_counts_only(tmp_path):
    log = log_of(logged(tmp_path / "log", 300, 2))
    some = game(log, "greedy", 300)
    player = Player(some, some.policies[0], 1)
    for events, counts in log.rounds(1, 300):
        player.replay(events, counts)
    driver = decisions_of(player.workspace)
    assert 0 < player.counted < 150
    assert player.counted - 1 <= driver.policy.off_policy.n <= player.counted  # the last may not be learned yet


def test_learners_of_a_log_suit_its_costs(tmp_path):
    path = tmp_path / "log"
    for costs, wanted in (((-1, 0), "bayes_logistic"), ((0, 1), "bayes_logistic"), ((0, 1, 2), "bayes_linear")):
        path.write_text("\n\n".join(f"0:{cost}:1 |a\n|b" for cost in costs))
        log = log_of(path)
        assert wanted in learner_flags(log, [])
        check(str(path), read_lines(str(path)), spell(fitting(learner_flags(log, []), ["--explore", "uniform"])))
        play_seed(game(log, "thompson,greedy,random", len(costs)), 1)


def test_numbers_of_base_16_are_read_as_the_parser_reads_them(tmp_path):
    (tmp_path / "log").write_text("0:-0x1.8p1:0x.8 |a\n|b\n")
    (event,) = log_of(tmp_path / "log").events
    assert event[3:] == (0, -3, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no decisions"), ("\n\n", "no decisions"), ("0:1:1 |a\n\n\n|a\n|b\n", "log:4: .*action:cost:probability")],
)
def test_a_log_that_cannot_be_replayed_says_why(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").write_text(text)
    with pytest.raises(OptionError, match=message):
        log_of("log")


def test_a_malformed_line_says_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").write_text("0:1:1 |a\n\n|a\n0:1:2 |b\n")
    with pytest.raises(ParseError, match=r"^log:4:1: the probability"):
        check("log", read_lines("log"), [])
    with pytest.raises(ParseError, match=r"^log:1:1: the cost is neither"):
        check("log", [b"0:0.5:1 |a", b""], ["--bayes_logistic"])


def test_the_last_mark_of_a_replay_is_its_end(tmp_path):
    log = log_of(logged(tmp_path / "log", 1234, 3))
    for delay in (1, 7):
        for found in play_seed(game(log, "thompson,random", 1234, delay), 1):
            assert found.curve[-1] == found.cost / found.counted
            assert len(found.curve) == len(found.errors) == len(marks_of(1234))


def test_fewer_decisions_of_a_log_are_its_first(tmp_path):
    path = logged(tmp_path / "log", 50, 3)
    assert log_of(path, limit=20).events == log_of(path).events[:20]
    assert next(log_of(path, limit=20).rounds(1, 20))[0] == log_of(path).events[:20]

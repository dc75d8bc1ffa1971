"""What every learner promises, checked for each of them: the contract is in vwlite/core/learner.pxd."""

import math
import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.reductions import Cut, Through
from vwlite import Workspace
from vwlite.core.learner import walk
from vwlite.engine import plugins, registry
from vwlite.errors import ModelError
from vwlite.model import model_file


class Case(NamedTuple):
    """A learner, the flags that put it into the stack, and the labels it learns from.

    In flags {fixed} stands for a saved model.
    """

    learner: str
    flags: str
    labels: str
    run_is_batch: bool = False  # by design two runs are then not one: each is fitted at its end


LABELS: dict[str, Callable[[random.Random], float]] = {
    "real": lambda source: round(source.uniform(-2, 3), 3),
    "sign": lambda source: source.choice([-1, 1]),
    "count": lambda source: source.randrange(6),
}

CASES = [
    Case("gd", "", "real"),
    Case("gd", "-b 6 -q ab --cubic aab -q ::", "real"),
    Case("gd", "--loss_function logistic", "sign"),
    Case("gd", "--loss_function hinge --ignore b", "sign"),
    Case("gd", "--loss_function quantile --quantile_tau 0.3", "real"),
    Case("gd", "--loss_function expectile --expectile_q 0.2 --ignore_linear a -q ab", "real"),
    Case("gd", "--loss_function poisson", "count"),
    Case("gd", "--loss_function classic --noconstant", "real"),
    Case("gd", "--sgd -l 0.05", "real"),
    Case("gd", "--adaptive", "real"),
    Case("gd", "--normalized", "real"),
    Case("gd", "--invariant -l 0.05", "real"),
    Case("gd", "--adaptive --normalized --power_t 0.3", "real"),
    Case("gd", "--power_t 0.4 --initial_t 2 -C 0.5", "real"),
    Case("gd", "--l1 0.001", "real"),
    Case("gd", "--l2 0.001 --loss_function logistic", "sign"),
    Case("gd", "--l1 0.001 --l2 0.001 --sgd -l 0.05", "real"),
    Case("gd", "--sparse_l2 0.01", "real"),
    Case("gd", "--initial_weight 0.1 -b 8", "real"),
    Case("gd", "--hash all --hash_seed 5 --feature_limit 2", "real"),
    Case("gd", "--min_prediction -1 --max_prediction 2", "real"),
    Case("ftrl", "--ftrl", "real"),
    Case("ftrl", "--ftrl --l1 0.2 --l2 0.1 --ftrl_alpha 0.1 --ftrl_beta 2 --loss_function logistic", "sign"),
    Case("ftrl", "--ftrl -b 6 -q ab --cubic aab --loss_function poisson", "count"),
    Case("ftrl", "--ftrl --initial_weight 0.1 --loss_function quantile --noconstant", "real"),
    Case("ftrl", "--ftrl --offset_scale 0.5 --binary --classweight 1:2 --loss_function hinge", "sign"),
    Case("ftrl", "--pistol", "real"),
    Case("ftrl", "--pistol -b 6 -q :: --loss_function logistic --link logistic", "sign"),
    Case("ftrl", "--pistol --ftrl_alpha 3 --ftrl_beta 0.2 --offset_scale fit", "real"),
    Case("ftrl", "--coin", "real"),
    Case("ftrl", "--coin -b 6 -q ab --loss_function logistic --link glf1", "sign"),
    Case("ftrl", "--coin --ftrl_alpha 1 --ftrl_beta 0.1 --offset_scale 2 --loss_function poisson", "count"),
    Case("lrq", "--lrq ab2", "real"),
    Case("lrq", "--lrq ab2 --lrq_start 0.1 --l2 0.01 --l1 1e-4", "real"),
    Case("lrq", "--lrq aa3 --lrq bu1 --lrqdropout --loss_function logistic -q ab", "sign"),
    Case("offset", "--offset_scale 0.5", "real"),
    Case("offset", "--offset_scale -2 --loss_function logistic --l2 0.001", "sign"),
    Case("offset", "--offset_scale fit --offset_l2 2", "real"),
    Case("offset", "--offset_scale fit --loss_function classic -q ab --l1 0.001", "real"),
    Case("offset", "--offset_scale fit --loss_function logistic --logistic_min 0 --logistic_max 5", "count"),
    Case("offset", "--fixed_effect {fixed}", "real"),
    Case("offset", "--fixed_effect {fixed} --offset_scale 0.5 --loss_function poisson", "count"),
    Case("offset", "--fixed_effect {fixed} --offset_scale fit --loss_function logistic --l2 0.01 --ignore a", "sign"),
    Case("combined", "--residual {fixed} --residual {fixed}", "real"),
    Case("combined", "--residual {fixed} --loss_function logistic -q ab --ignore a --fixed_effect {fixed}", "sign"),
    Case("classweight", "--classweight 1:3,-1:0.5 --loss_function logistic", "sign"),
    Case("classweight", "--classweight 0:0 --classweight 2:0.25 --sgd -l 0.05", "count"),
    Case("scorer", "--link identity --loss_function logistic", "sign"),
    Case("scorer", "--link logistic --loss_function logistic", "sign"),
    Case("scorer", "--link glf1 --loss_function logistic", "sign"),
    Case("scorer", "--link poisson --loss_function poisson", "count"),
    Case("glm", "--bayes_linear", "real"),
    Case("glm", "--bayes_linear --posterior diagonal --batch_size 7 --forget 0.9 -q ab", "real"),
    Case("glm", "--bayes_linear --noise 0.5 --l2 0.1 --intercept_l2 1e-6 --ignore b --noconstant", "real"),
    Case("glm", "--bayes_logistic", "sign"),
    Case("glm", "--bayes_logistic --posterior diagonal --forget 0.8", "sign"),
    Case("glm", "--bayes_logistic --posterior identity --forget 0.5 --batch_size 3", "sign"),
    Case("glm", "--bayes_logistic --forget 0.5 --forget_time t --hash all", "sign"),
    Case("glm", "--bayes_logistic --posterior diagonal --forget 0.5 --forget_time t --link logistic", "sign"),
    Case("glm", "--bayes_logistic --offset_scale 0.5 --binary --classweight 1:2", "sign"),
    Case("glm", "--logistic --batch_size 5", "sign"),
    Case("glm", "--bayes_logistic --moments --posterior diagonal", "sign"),
    Case("glm", "--square --batch_size 4 --posterior diagonal", "real"),
    Case("glm", "--square", "real", run_is_batch=True),
    Case("glm", "--bayes_logistic --batch_size all --forget 0.7", "sign", run_is_batch=True),
    Case("nothing", "--random_effect user:* --fixed none --bayes_linear", "real"),
    Case("nothing", "--random_effect user --fixed none --logistic --batch_size 2", "sign"),
    Case("random_effect", "--random_effect user --bayes_linear", "real"),
    Case("random_effect", "--random_effect user:a --bayes_logistic --moments", "sign"),
    Case("random_effect", "--random_effect user:a,b --random_effect item --bayes_logistic --link logistic", "sign"),
    Case(
        "random_effect", "--random_effect user:* --random_effect item:a --bayes_logistic --posterior diagonal", "sign"
    ),
    Case("random_effect", "--random_effect user:* --bayes_linear --fixed same --batch_size 5 --forget 0.9", "real"),
    Case("random_effect", "--random_effect user:a --shrink mean --bayes_linear --forget 0.9", "real"),
    Case("random_effect", "--random_effect user --entity_min 3 --count_weight user=-0.5 --bayes_linear", "real"),
    Case("random_effect", "--random_effect user:* -q ua -q :: --bayes_linear --l2 0.001 --posterior diagonal", "real"),
    Case("random_effect", "--random_effect user:a --freeze fixed --bayes_logistic --posterior identity", "sign"),
    Case("random_effect", "--random_effect user --random_effect item --effect_l2 auto --bayes_linear", "real"),
    Case("random_effect", "--random_effect user:a --effect_l2 auto --bayes_logistic --shrink mean", "sign"),
    Case("random_effect", "--random_effect user --loss_function logistic --bayes_logistic --offset_scale 2", "sign"),
    Case("random_effect", "--random_effect user --random_effect item --square", "real", run_is_batch=True),
    Case("random_effect", "--random_effect user:a --logistic --fixed same --sweeps 3", "sign", run_is_batch=True),
    Case(
        "random_effect",
        "--random_effect user --bayes_linear --fixed none --effect_l2 auto --batch_size all",
        "real",
        True,
    ),
    Case("binary", "--binary --loss_function hinge", "sign"),
    Case("binary", "--binary --classweight 1:2 --offset_scale 0.1 --link logistic --loss_function logistic", "sign"),
    Case("python_reduction", "--through", "real"),
    Case("python_reduction", "--through --link logistic --loss_function logistic --binary --classweight 1:2", "sign"),
    Case("python_reduction", "--through --bayes_linear --random_effect user", "real"),
    Case("python_reduction", "--cut_at 1.5", "real"),
    Case("python_reduction", "--cut_at 1.5 --through --offset_scale fit -q ab --l1 0.001", "real"),
]


@pytest.fixture(autouse=True)
def python_reductions(monkeypatch):
    """Those in Python are known for the length of a test."""
    monkeypatch.setattr(plugins, "_known", {})
    for cls in (Through, Cut):
        plugins.register(cls)


@pytest.fixture(scope="session")
def fixed(tmp_path_factory):
    """A model with features of its own, so that it must see lines in its own way."""
    workspace = Workspace("-b 10 -q ab --ignore_linear b --keep ab --noconstant --l2 0.001")
    workspace.learn(examples(Case("gd", "", "real"), 6, 80))
    path = tmp_path_factory.mktemp("fixed") / "fixed.model"
    workspace.save(path)
    return path


@pytest.fixture(params=CASES, ids=lambda case: f"{case.learner} {case.flags}")
def case(request, fixed):
    return request.param._replace(flags=request.param.flags.replace("{fixed}", str(fixed)))


def examples(case: Case, seed: int, count: int) -> list[str]:
    """Labelled lines with weights, initial predictions and tags; the first have the extreme labels of their kind."""
    source = random.Random(seed)
    extremes = {"real": [-2, 3], "sign": [-1, 1], "count": [0, 5]}[case.labels]
    lines = []
    for i in range(count):
        label = extremes[i] if i < len(extremes) else LABELS[case.labels](source)
        weight = source.choice([1, 1, 0.5, 2])
        initial = source.choice([0, 0, 0.25, -0.5])
        words = [
            f"{name} {' '.join(feature(source) for _ in range(source.randrange(4)))}" for name in ("a", "b:0.5", "")
        ]
        if "--random_effect" in case.flags:
            words += [f"{name} {source.choice('uvwxyz')}" for name in ("user", "item") if source.random() < 0.8]
        if "--forget_time" in case.flags:
            words.append(f"t :{i // 3}")
        lines.append(f"{label} {weight:g} {initial:g} 'tag{i}|{'|'.join(words)}")
    return lines


def feature(source: random.Random) -> str:
    name = source.choice(["red", "green", "blue", "7", "23"])
    return name if source.random() < 0.5 else f"{name}:{source.uniform(-3, 3):.4g}"


def unlabelled(lines: list[str]) -> list[str]:
    return [line[line.index("|") :] for line in lines]


def trained(case: Case, count: int = 60) -> Workspace:
    workspace = Workspace(case.flags)
    workspace.learn(examples(case, 1, count))
    if case.run_is_batch:
        workspace.end_pass()
    return workspace


def learn_what_waits(workspace: Workspace) -> None:
    """As a model does that is loaded only to test: examples that wait for their batch count there."""
    for learner in walk(workspace.top):
        learner.close_batches()


def test_every_learner_is_in_the_table():
    # of classes, costs and decisions: their own tests in tests/reductions check the same promises
    others = {"oaa", "multilabel_oaa", "csoaa", "csoaa_ldf", "cb_adf", "cb_explore_adf", "thompson"}
    assert {case.learner for case in CASES} | others == {*registry.names(), "python_reduction"}


def test_the_flags_put_the_learner_into_the_stack(case):
    files = {type(learner).__module__.rpartition(".")[2] for learner in walk(Workspace(case.flags).top)}
    assert case.learner in files


def test_it_learns_something(case, state):
    assert state(trained(case)) != state(Workspace(case.flags))


def test_predicting_changes_no_model_and_no_prediction(case, state):
    workspace = trained(case)
    before = state(workspace)
    lines = examples(case, 2, 40)
    first = workspace.predict(lines)
    assert workspace.predict(lines) == first
    assert [workspace.predict(line) for line in lines] == first
    assert all(map(math.isfinite, first))
    assert state(workspace) == before


def test_predicting_leaves_the_figures_of_a_save_alone(case):
    workspace = trained(case)
    figures, loss = workspace.metadata()["figures"], workspace.metadata()["journal"][-1]["loss_after"]
    workspace.predict(examples(case, 2, 40))
    assert workspace.metadata()["figures"] == figures
    assert workspace.metadata()["journal"][-1]["loss_after"] == loss


def test_lines_without_a_label_teach_nothing(case, state):
    workspace = trained(case)
    before = state(workspace)
    lines = unlabelled(examples(case, 2, 40))
    assert workspace.learn(lines) == workspace.predict(lines)
    assert state(workspace) == before


def test_examples_of_no_weight_teach_nothing(case, state):
    workspace = trained(case)
    before = state(workspace)
    lines = [line.split(" ", 2) for line in examples(case, 2, 40)]
    weightless = [f"{label} 0 {rest}" for label, _, rest in lines]
    assert workspace.learn(weightless) == workspace.predict(weightless)
    assert state(workspace) == before


def test_a_run_that_only_tests_leaves_the_model_as_it_was(case, run, tmp_path):
    _, before = run(examples(case, 1, 60), *case.flags.split())
    (tmp_path / "run.model").rename(tmp_path / "first.model")
    words = ["-i", str(tmp_path / "first.model"), "-t"]
    lines = examples(case, 2, 40)
    predictions, after = run(lines, *words)
    assert after == before
    assert run(lines, *words)[0] == predictions


def test_learning_returns_the_prediction_made_before(case):
    workspace = trained(case)
    for line in examples(case, 2, 40):
        prediction = workspace.predict(line)
        assert workspace.learn(line) == prediction


def test_two_runs_give_the_bits_of_one(case, run, tmp_path):
    lines = examples(case, 3, 90)
    words = case.flags.split()
    predictions, model = run(lines, *words)
    if case.run_is_batch:
        return
    for cut in (1, 37):
        head, _ = run(lines[:cut], *words, "--allow_empty")
        (tmp_path / "run.model").rename(tmp_path / "first.model")
        # with the flags given once more or left to the model, it makes no difference; --freeze, like -t, is of a run
        for again in (words[:0], words) if "--freeze" not in words else (words,):
            tail, resumed = run(lines[cut:], "-i", str(tmp_path / "first.model"), *again)
            assert head + tail == predictions
            assert resumed == model


def test_learning_goes_on_in_python_where_it_stopped(case, state, tmp_path):
    lines = examples(case, 3, 90)
    whole = Workspace(case.flags)
    expected = whole.learn(lines)
    first = Workspace(case.flags)
    head = first.learn(lines[:37])
    if case.run_is_batch and case.learner == "random_effect":
        with pytest.raises(ModelError, match="37 examples wait"):
            first.save(tmp_path / "first.model")
        return
    first.save(tmp_path / "first.model")
    second = Workspace.load(tmp_path / "first.model", case.flags)
    assert head + second.learn(lines[37:]) == expected
    assert state(second) == state(whole)


def test_a_loaded_model_predicts_as_the_saved_one(case, state, tmp_path):
    workspace = trained(case)
    workspace.save(tmp_path / "saved.model")
    lines = [*examples(case, 2, 40), *unlabelled(examples(case, 4, 40))]
    expected = workspace.predict(lines)
    assert Workspace.load(tmp_path / "saved.model").predict(lines) == expected
    assert state(Workspace.load(tmp_path / "saved.model")) == state(workspace)


def test_a_model_loaded_only_to_test_predicts_as_the_saved_one(case, tmp_path):
    workspace = trained(case)
    workspace.save(tmp_path / "saved.model")
    learn_what_waits(workspace)
    lines = unlabelled(examples(case, 2, 40))
    expected = workspace.predict(lines)
    # L1 and L2 regularization is worked into the weights as they are loaded, which rounds
    worked_in = "--l1" in case.flags or "--l2" in case.flags
    tested = Workspace.load(tmp_path / "saved.model", "-t").predict(lines)
    assert tested == (pytest.approx(expected, abs=1e-6) if worked_in else expected)


def test_a_model_of_weights_only_predicts_as_the_whole_one(case, tmp_path):
    workspace = Workspace(f"{case.flags} --predict_only_model")
    workspace.learn(examples(case, 1, 60))
    if case.run_is_batch:
        workspace.end_pass()
    workspace.save(tmp_path / "weights.model")
    learn_what_waits(workspace)
    lines = unlabelled(examples(case, 2, 40))
    assert Workspace.load(tmp_path / "weights.model", "-t").predict(lines) == pytest.approx(
        workspace.predict(lines), abs=1e-6
    )


def test_an_untaught_model_can_be_saved_and_loaded(case, state, tmp_path):
    fresh = Workspace(case.flags)
    fresh.save(tmp_path / "fresh.model")
    assert state(Workspace.load(tmp_path / "fresh.model")) == state(fresh)


def test_the_number_of_threads_makes_no_difference(case, run):
    # long lines, so that there are several blocks to hand from thread to thread
    glm = case.learner in ("glm", "nothing", "random_effect")
    padding = "word" * 2000 if glm else " ".join(f"word{i}" for i in range(1000))
    lines = [f"{line} |padding {padding}" for line in examples(case, 5, 120)]
    lines = lines if "::" not in case.flags and "cubic" not in case.flags else lines[:2]
    results = [run(lines, *case.flags.split(), *more) for more in ([], ["--onethread"], [])]
    assert results[0] == results[1] == results[2]


def test_features_that_are_new_at_prediction_time_do_no_harm(case, state):
    workspace = trained(case)
    before = state(workspace)
    lines = ["|new thing other:2", "|a red unheard |zzz x:1e30", "|", "|a :5 |b 99999999999999999999 red:text"]
    assert all(map(math.isfinite, workspace.predict(lines)))
    assert state(workspace) == before


def test_features_that_vanish_do_no_harm(case):
    workspace = trained(case)
    workspace.learn([line.replace("green", "").replace("blue", "") for line in examples(case, 2, 40) if ":" in line])
    assert all(map(math.isfinite, workspace.predict(examples(case, 2, 40))))


@pytest.mark.parametrize(
    "rest",
    ["|a red:1e20", "1e30 |a red", "|a red:3e38 green:-3e38", "1 3e38 |a red", "|a red:1e-38", "3e38 |a red:3e38"],
)
def test_huge_and_tiny_values_never_reach_a_model_that_is_not_finite(case, state, rest):
    workspace = trained(case)
    workspace.learn([f"{label} {rest}" for label in ([0, 5] if case.labels == "count" else [-1, 1])])
    for dtype, _, content in state(workspace).values():
        if dtype in ("F32", "F64"):
            assert all(map(math.isfinite, memoryview(content).cast("f" if dtype == "F32" else "d")))
    assert all(map(math.isfinite, workspace.predict(examples(case, 2, 40))))


def test_an_example_is_handed_back_as_it_came(case, run):
    # an audit predicts each example once more before it is learned
    lines = examples(case, 3, 60)
    words = case.flags.split()
    predictions, model = run(lines, *words)
    audited_predictions, audited = run(lines, *words, "--invert_hash", "/dev/null")
    assert audited_predictions == predictions
    assert {name: audited[name] for name in model} == model


def test_a_second_pass_sees_the_examples_of_the_first(case, run):
    # the second pass goes over the parsed examples that the first pass went over
    lines = examples(case, 3, 40)
    if case.run_is_batch:
        return
    twice, model = run([*lines, *lines], *case.flags.split())
    assert run(lines, *case.flags.split(), "--passes", "2", "--holdout_off") == (twice, model)


def test_learning_twice_is_not_learning_once(case, state):
    # guards the check above against a second pass that does nothing
    lines = examples(case, 3, 40)
    once, twice = Workspace(case.flags), Workspace(case.flags)
    once.learn(lines)
    twice.learn([*lines, *lines])
    if case.run_is_batch:
        once.end_pass()
        twice.end_pass()
    assert state(once) != state(twice)


def test_the_model_says_which_learners_made_it(case, tmp_path):
    workspace = trained(case)
    workspace.save(tmp_path / "saved.model")
    entries = model_file.open(tmp_path / "saved.model").metadata["stack"]
    assert [entry["name"] for entry in entries] == [learner.name for learner in walk(workspace.top)]

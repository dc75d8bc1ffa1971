"""Error messages of Reasons."""
from vwlite.core.example cimport MAX_ACTIONS

REASONS_IN_WORDS = {
    LABEL_WORDS: "more than label, importance and initial prediction before the first '|' (a tag touches the '|')",
    LABEL_NUMBER: "the label, importance or initial prediction is not a number",
    LABEL_KIND: "the stack accepts one number as the label, and this looks like costs, an action or several classes "
    "(':' or ',' after a number)",
    LABEL_FINITE: "the label, importance or initial prediction is not finite",
    WEIGHT_NEGATIVE: "the importance weight is negative",
    NAMESPACE_NAME: "a namespace needs a name before ':'",
    NAMESPACE_VALUE: "the namespace's value is not a finite number",
    NAMESPACE_SYNTAX: "expected a blank, '|' or the end of the line after the namespace",
    VALUE_FINITE: "the feature's value is not finite",
    FEATURE_SYNTAX: "expected a blank, '|' or the end of the line after the feature's value (names can't hold ':')",
    LINE_LENGTH: "the line is longer than --max_line_bytes",
    LABEL_BINARY: "the labels of two classes are -1 and 1, or 0 and 1 (with --loss_function logistic, --logistic_min "
    "and --logistic_max set others)",
    LABEL_NOT_SIGN: "the labels of the two classes are -1 and 1 here, by lines before or the model: a third value",
    LABEL_NOT_ZERO_ONE: "the labels of the two classes are 0 and 1 here, by lines before or the model: a third value",
    LABEL_RANGE: "the label is outside --logistic_min and --logistic_max",
    LABEL_COUNT: "--loss_function poisson needs counts: labels of 0 or more",
    LABEL_LARGE: "the label is larger than 1e18, beyond which losses overflow",
    ENTITY_TWICE: "two features in the namespace of a random effect: an example belongs to one entity",
    ENTITY_NAMELESS: "the feature in the namespace of a random effect has no name, so it names no entity",
    ENTITY_VALUE: "a value in the namespace of a random effect: an entity is its name alone, without ':', so write "
    "u17 or u_17 for u:17",
    POSTERIOR_FULL: "the line would give a full posterior more coefficients than --posterior_full allows: raise it, or "
    "choose --posterior auto or diagonal",
    COST_SYNTAX: "before the first '|' expected action:cost:probability of the action taken, such as 0:-1:0.25",
    COST_ACTION: "the action is not a whole number",
    COST_ABSENT: "there is no action of this number: actions are counted from 0, a line each",
    COST_NUMBER: "the cost is not a finite number",
    COST_PROBABILITY: "the probability is not a number above 0 and at most 1",
    COST_TWICE: "a second action of the decision has a cost (an empty line ends a decision)",
    COST_RANGE: "the cost is neither of the two that --cost_range names",
    SHARED_COST: "a shared line has no cost: it belongs to the line of the action taken",
    SHARED_TAG: "'shared' touches the '|', which makes it a tag: put a blank between",
    SHARED_PLACE: "a shared line must be the first of its decision (an empty line ends a decision)",
    SHARED_ALONE: "a shared line without a line for any action",
    ACTION_BLANK: "a line of blanks is no action: leave it empty to end the decision, or begin it with '|'",
    ACTIONS_MANY: f"the multi-line example has more than {MAX_ACTIONS:,} actions",
    DECISION_LENGTH: "the decision is longer than --max_line_bytes",
    CROSSED_MANY: "more than {limit:,} features with the crossed ones: cross fewer namespaces, or cut them "
    "with --feature_limit, or allow more with --crossing_limit",
    BAR_MISSING: "no label, and no '|' in the line: features follow a '|', as in 1 |shop price:9.5 new",
    CLASS_NUMBER: "a class is a whole number of 0 or more, or a name",
    CLASS_SYNTAX: "before the first '|' expected class:cost of each class whose cost is known, such as 1:0.5 2:0",
    CLASS_SIGNS: "a class is a whole number, or a name without ':' and ',', which labels of other kinds have (costs, "
    "several classes)",
    CLASS_WORDS: "more than class and importance before the first '|' (a tag touches the '|')",
    CLASSES_EMPTY: "no class between two commas: expected the classes of the label, such as 1,3",
    CLASSES_WORDS: "more than one word before the first '|': the classes of a label are joined by commas, such as 1,3, "
    "and have no importance (a tag touches the '|')",
    CLASS_RANGE: "there is no class of this number: they are numbered {classes}",
    CLASS_UNKNOWN: "this class is none of --named_labels",
    CLASS_MANY: "one class more than the stack has: {classes} names have come before",
    CLASS_NAMELESS: "the classes are numbers here, by lines before or the model: a name",
    CLASS_TWICE: "the label names a class twice",
    COST_SECOND: "a second class:cost: each line of a multi-line example has its own",
    COSTS_ABSENT: "some choices of the example have costs, and others have none",
    VALUE_MISSING: "no value after ':', where a blank ends the word: write name:1, or name without ':'",
}

"""Learners: one file each. These lists, bottom to top, are their order; a new learner adds its word here."""

# of the bottom learners, the first whose setup() answers is taken
BOTTOMS = ("nothing", "glm", "ftrl", "gd")
REDUCTIONS = (
    *("random_effect", "offset", "classweight", "scorer", "binary"),
    *("oaa", "multilabel_oaa", "csoaa", "csoaa_ldf", "cb_adf", "cb_explore_adf", "thompson"),
)
ABOVE = "scorer"  # where a reduction from elsewhere stands that doesn't say so itself

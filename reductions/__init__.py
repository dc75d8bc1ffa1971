"""Learners: one file each. These lists, bottom to top, are their order; a new learner adds its word here."""

# the bottom learner is the first one whose setup() returns a learner
BOTTOMS = ("nothing", "glm", "ftrl", "gd")
REDUCTIONS = (
    *("lrq", "random_effect", "offset", "combined", "classweight", "scorer", "binary"),
    *("oaa", "multilabel_oaa", "csoaa", "csoaa_ldf", "cb_adf", "cb_explore_adf", "thompson"),
)
ABOVE = "scorer"  # where a reduction of another package stands that sets no place itself

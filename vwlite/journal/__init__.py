"""The journal of a model: replaying it, stripping it, notes, and what two models differ in."""

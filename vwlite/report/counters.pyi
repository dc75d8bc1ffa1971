class Counters:
    example_number: int
    total_features: int
    problems: int
    constants: int
    left_out: int
    held_out: int
    weighted_labeled: float
    weighted_labels: float
    weighted_unlabeled: float
    sum_loss: float
    sum_loss_since: float
    weighted_labeled_before: float
    holdout_loss: float
    holdout_weight: float
    holdout_loss_since: float
    holdout_weight_since: float
    holdout_loss_of_pass: float
    holdout_weight_of_pass: float
    first_label: float
    second_label: float
    more_labels: bool
    def features_seen(self) -> int: ...
    def end_pass(self) -> float | None: ...

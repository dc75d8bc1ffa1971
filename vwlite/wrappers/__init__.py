"""What the classes for scikit-learn and for River share; neither of these packages is needed here."""

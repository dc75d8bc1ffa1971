"""Feature selection and feature crossing (interactions)."""

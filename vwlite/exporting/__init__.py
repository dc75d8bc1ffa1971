"""vwlite export: models as CSV, JSON, Python, SQL and ONNX, which score without vwlite."""

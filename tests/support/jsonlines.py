"""JSON lines as text, and values that JSON lines may have."""

from hypothesis import strategies as st

from tests.support.vw_json_as_text import to_text

LETTERS = "abcXYZ09.-'é☃\x01/"
NUMBER = st.one_of(
    st.integers(-(10**6), 10**6),
    st.integers(-(10**30), 10**30),
    st.floats(-(2.0**100), 2.0**100, width=32),
    st.floats(-100, 100),
    st.sampled_from((0, 0.0, -0.0, 1, 1.0, 1e-7, 1e22, 12345678.9, 2**63, 1e-46)),
)
TEXT = st.one_of(
    st.text(LETTERS + " \t|:", max_size=6), st.sampled_from(("", "Bonn", "12", "a b|c:d\te", " v", "_label"))
)
VALUE = st.one_of(NUMBER, TEXT, st.sampled_from((True, False, None)))

KEYS = st.sampled_from(
    ("a", "b", "_label", "_labelIndex", "_multi", "_tag", "_text", "_label_Cost", "_label_Weight", "Label", "Cost")
)
JSON_VALUE = st.recursive(
    st.one_of(VALUE, st.text(max_size=3), st.floats(allow_nan=True)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, st.text(max_size=3)), inner, max_size=4)
    ),
)


def text(line: str, decisions: bool = False) -> str:
    """The text that a line becomes."""
    return to_text(line.encode(), decisions).decode()

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nmdeploy.structure import Record, describe, equal_values, field_names, plain_number, read_only


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Box(Record):
    weight: object
    names: tuple = ()
    by_name: dict = dataclasses.field(default_factory=dict)
    _cache: dict = dataclasses.field(init=False, default_factory=dict)

    def __post_init__(self):
        self.freeze_arrays()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class OtherBox(Box):
    pass


arrays = hnp.arrays(
    st.sampled_from(["int8", "int64", "float32"]), hnp.array_shapes(max_dims=3, max_side=3), elements=st.integers(-3, 3)
)


@given(arrays, arrays)
def test_arrays_are_equal_exactly_when_type_shape_and_elements_are(left, right):
    same = left.dtype == right.dtype and left.shape == right.shape and left.tolist() == right.tolist()
    assert equal_values(left, right) is same
    assert equal_values(left, left.copy())
    assert (Box(left) == Box(right)) is same
    assert equal_values({"a": (left,)}, {"a": (right,)}) is same


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (np.int64(1), 1, True),
        (np.float32(0.5), 0.5, True),
        (np.float32(0.5), np.float64(0.5), True),
        (np.int8(1), 1.0, False),
        ((1, 2), (1, 2), True),
        ((1, 2), [1, 2], False),
        ((1, 2), (1, 2, 3), False),
        ((1,), (2,), False),
        ([np.ones(2)], [np.ones(2)], True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": np.ones(2)}, {"a": np.zeros(2)}, False),
        ({}, (), False),
        (np.ones(1), 1.0, False),
        (1.0, np.ones(1), False),
        (np.array(1), 1, False),
        (None, 0, False),
    ],
)
def test_equality_of_values(left, right, same):
    assert equal_values(left, right) is same
    assert equal_values(right, left) is same


def test_records_are_compared_by_class_and_fields_and_cannot_be_hashed():
    assert Box(np.arange(3), ("a",)) == Box(np.arange(3), ("a",))
    assert Box(np.arange(3), ("a",)) != Box(np.arange(3), ("b",))
    assert Box(1) != OtherBox(1)
    assert Box(1) != 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(Box(1))


def test_fields_that_are_not_given_are_not_compared():
    left, right = Box(1), Box(1)
    left._cache["x"] = 1
    assert left == right
    assert field_names(left) == ("weight", "names", "by_name")


def test_arrays_are_frozen_as_copies_also_inside_mappings():
    given_array = np.arange(3)
    box = Box(given_array, by_name={"a": given_array})
    for frozen in (box.weight, box.by_name["a"]):
        with pytest.raises(ValueError, match="read-only"):
            frozen[0] = 9
    given_array[0] = 9
    assert box.weight[0] == box.by_name["a"][0] == 0


def test_a_mapping_is_copied():
    given_mapping = {"a": 1}
    box = Box(1, by_name=given_mapping)
    given_mapping["a"] = 2
    assert box.by_name == {"a": 1}


def test_numpy_scalars_become_plain_numbers():
    for scalar, kind in ((np.int16(3), int), (np.float32(0.5), float), (np.bool_(True), bool)):
        assert type(Box(scalar).weight) is kind
        assert plain_number(scalar) == scalar
    assert plain_number("text") == "text"


@pytest.mark.parametrize("order", ["transposed", "big-endian"])
def test_read_only_arrays_are_contiguous_and_native(order):
    array = np.arange(6).reshape(2, 3).T if order == "transposed" else np.arange(6, dtype=">i4")
    array.setflags(write=False)
    frozen = read_only(array)
    assert frozen.flags.c_contiguous
    assert frozen.dtype.isnative
    assert not frozen.flags.writeable
    np.testing.assert_array_equal(frozen, array)
    assert read_only(frozen) is frozen


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((2, 3), dtype=np.int8), "int8[2,3]"),
        (np.array([[5]]), "5"),
        ({"a": np.zeros(4)}, "{'a': float64[4]}"),
        ("a", "'a'"),
        (None, "None"),
    ],
)
def test_describe(value, text):
    assert describe(value) == text


def test_repr_is_one_line_without_defaults():
    assert repr(Box(np.zeros((2, 3)))) == "Box(weight=float64[2,3])"
    assert repr(Box(1, ("a",), {"x": np.zeros(2)})) == "Box(weight=1, names=('a',), by_name={'x': float64[2]})"

"""Names of fields: repeats, padding, and coordinates in other spellings."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s4token_model.io import field_names


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "b", "x", "X", "y", "z", ""]), max_size=12))
def test_names_become_distinct_and_the_first_of_each_stays(names):
    unique = field_names.distinct(names)
    assert len(set(unique)) == len(unique) == len(names)
    for name in set(names):
        assert unique[names.index(name)] == name
    assert all(new == old or new.startswith(f"{old}_") for old, new in zip(names, unique, strict=True))


@pytest.mark.parametrize(
    "names",
    ["X Y Z", "x Y z", "px py pz", "pos_x pos_y pos_z", "Position.X Position.Y Position.Z", "x_coord y_coord z_coord",
     "//X Y Z", "x[m] y[m] z[m]", "PointX PointY PointZ", "coord:x coord:y coord:z"],
)  # fmt: skip
def test_coordinates_are_found_in_usual_spellings(names):
    names = ["time", *names.split(), "ring"]
    assert field_names.axes(names) == dict(zip("xyz", names[1:4], strict=True))
    assert field_names.standard(names) == ["time", "x", "y", "z", "ring"]


@pytest.mark.parametrize(
    "names", ["vx vy vz", "nx ny nz", "normal_x normal_y normal_z", "x y", "X px Y Z", "max may maz"]
)
def test_other_names_and_ambiguous_ones_are_no_coordinates(names):
    assert field_names.axes(names.split()) == {}


def test_exact_names_come_first():
    names = ["X", "x", "Y", "y", "Z", "z", "px"]
    assert field_names.axes(names) == {"x": "x", "y": "y", "z": "z"} and field_names.standard(names) == names

"""What a model allows, in words: every problem with its place, what may stand there and the nearest key."""

from __future__ import annotations

from random import Random
from typing import Annotated, Any, Literal

import pytest
from mutations import LEAKS, mutated
from pydantic import Field, field_validator, model_validator

from gpusim.config import expand
from gpusim.config.models import GpuConfig
from gpusim.emulator.launch import Description
from gpusim.errors import GpusimError
from gpusim.results.saved import SavedResult
from gpusim.schema import Strict, check, load, schema_of
from gpusim.trace.index import Index
from gpusim.yamlfile import parse


class Round(Strict):
    kind: Literal["round"]
    radius: Annotated[float, Field(gt=0)]


class Square(Strict):
    kind: Literal["square", "diamond"]
    side: Annotated[int, Field(ge=1, lt=100)]


class Drawing(Strict):
    name: str
    shapes: dict[str, Annotated[Round | Square, Field(discriminator="kind")]] = Field(default_factory=dict)
    scale: int | float = 1
    size: tuple[int, int] | None = None
    tags: Annotated[tuple[str, ...], Field(min_length=1, max_length=3)] = ("a",)
    either: str | tuple[int, ...] = ""
    low: int = 0
    high: int = 1

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 10:
            raise ValueError("a name has at most 10 letters")
        return name

    @model_validator(mode="after")
    def _ordered(self) -> Drawing:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: null", ["f:1: name: None is not allowed (allowed: text)"]),
        ("name: [3]", ["f:1: name: [3] is not allowed (allowed: text)"]),
        ("name: 41754123456", ["f:1: name: a name has at most 10 letters"]),
        ("name: x\nlow: 1e999", ["f:2: low: '1e999' is not allowed (allowed: integer); 1e999 is too large for a number of 64 bits; .inf is infinity"]),
        ("name: x\nlow: " + "9" * 50,
         [f"f:2: low: '{'9' * 50}' is not allowed (allowed: integer); a number of 50 characters; the longest read has 40"]),
        ("name: a long, long name", ["f:1: name: a name has at most 10 letters"]),
        ("nam: x", ["f:1: nam: unknown key (did you mean 'name'?)"]),
        ("name: x\nradius: 3", ["f:2: radius: unknown key (known here: name, shapes, scale, size, tags, either, low, high)"]),
        ("name: x\nlow: 4", ["f:1: the whole file: low must be below high"]),
        ("name: x\nscale: big", ["f:2: scale: 'big' is not allowed (allowed: number)"]),
        ("name: x\nscale: true", ["f:2: scale: True is not allowed (allowed: number)"]),
        ("name: x\nsize: [1]", ["f:2: size[1]: missing (allowed: integer)"]),
        ("name: x\nsize: [1, 2, 3]", ["f:2: size: [1, 2, 3] is not allowed (allowed: a list of 2, each integer)"]),
        ("name: x\ntags: []", ["f:2: tags: [] is not allowed (allowed: a list of 1 to 3, each text)"]),
        ("name: x\ntags: [4, 5, []]", ["f:2: tags[2]: [] is not allowed (allowed: text)"]),
        ("name: x\neither: [1,\n a]", ["f:3: either[1]: 'a' is not allowed (allowed: integer)"]),
        ("name: x\nshapes: 3", ["f:2: shapes: 3 stands where a section should (allowed: a section)"]),
        ("name: x\nshapes: {a: 3}",
         ["f:2: shapes.a: 3 stands where a section should (allowed: a section with kind: diamond, round, square)"]),
        ("name: x\nshapes:\n  a: {radius: 3}", ["f:3: shapes.a.kind: missing (allowed: one of diamond, round, square)"]),
        ("name: x\nshapes:\n  a: {kind: squar, side: 1}",
         ["f:3: shapes.a.kind: 'squar' is not allowed (did you mean 'square'?) (allowed: one of diamond, round, square)"]),
        ("name: x\nshapes:\n  round: {kind: round, radius: 0}", ["f:3: shapes.round.radius: 0 is not allowed (allowed: number, above 0)"]),
        ("name: x\nshapes:\n  a: {kind: diamond, side: 100, sid: 2}",
         ["f:3: shapes.a.side: 100 is not allowed (allowed: integer, 1 to 99)",
          "f:3: shapes.a.sid: unknown key (did you mean 'side'?)"]),
        ("- 1", ["f:1: the whole file: [1] stands where a section should "
                 "(allowed: a section with name, shapes, scale, size, tags, either, low, high)"]),
    ],
)  # fmt: skip
def test_each_problem_is_told_with_place_and_remedy(text, told):
    with pytest.raises(GpusimError) as error:
        load(Drawing, parse(text, "f"))
    assert str(error.value).splitlines() == told


@pytest.mark.parametrize(
    "written",
    ["41754e2", "123e456", "0010000", "0x1F", "1.50", "-0", "+7", "true", "False", "yes", ".inf", "1999-12-31"],
)
def test_where_text_is_asked_for_a_scalar_is_as_it_is_written(written):
    found = load(Drawing, parse(f"name: {written}\ntags: [{written}, 'b']\neither: {written}\nlow: -1", "f"))
    assert (found.name, found.tags, found.either, found.low) == (written, (written, "b"), written, -1)


def test_values_without_their_text_are_no_text():
    _, (problem,) = check(Drawing, {"name": 41754e2})
    assert str(problem) == "name: 4175400.0 is not allowed (allowed: text, which this is in quotes)"


def test_a_hint_may_take_the_place_of_the_nearest_key():
    with pytest.raises(GpusimError, match="f:1: texture: draw it yourself"):
        load(Drawing, parse("{name: x, texture: 3}", "f"), {"texture": "draw it yourself"})


def test_repeated_keys_are_told_with_the_rest():
    with pytest.raises(GpusimError, match=r"f:2: name: duplicate key.*\nf:3: low: 'a' is not allowed"):
        load(Drawing, parse("name: x\nname: y\nlow: a", "f"))


def test_a_value_that_is_long_is_shown_in_part():
    _, (problem,) = check(Drawing, {"name": "x", "low": "y" * 100_000})
    assert len(str(problem)) < 200
    _, (problem,) = check(Drawing, {"name": list(range(100_000))})
    assert len(str(problem)) < 200


def test_a_good_document_is_the_model():
    found = load(Drawing, parse("name: x\nsize: [1, 2]\nshapes: {a: {kind: diamond, side: 4}}\nscale: 1.5", "f"))
    assert (found.size, found.shapes["a"], found.scale) == ((1, 2), Square(kind="diamond", side=4), 1.5)


GOOD: dict[type, Any] = {
    Drawing: {"name": "x", "size": [1, 2], "shapes": {"a": {"kind": "square", "side": 4}}, "either": [1, 2]},
    Description: {
        "buffers": {"a": {"dtype": "int8", "shape": [2, 2], "fill": "constant", "value": 1}},
        "launches": [{"kernel": "k", "grid": [1], "block": [32], "arguments": [{"buffer": "a"}, {"int32": 4}]}],
        "expected": [{"buffer": "a", "file": "a.npy", "relative": 1e-6}],
    },
}


def card() -> dict[str, Any]:
    return parse(expand("a6000"), "card").values


@pytest.mark.parametrize(
    "model", [Drawing, Description, GpuConfig, Index, SavedResult], ids=lambda model: model.__name__
)
def test_no_mutation_escapes_or_speaks_of_the_library(model):
    random, lists = Random(7), model is SavedResult
    base = GOOD.get(model) or (card() if model is GpuConfig else {"format": "x", "version": 1, "provenance": {}})
    if model in GOOD or model is GpuConfig:
        assert check(model, base, lists=lists)[1] == []
    for _ in range(300):
        data = mutated(random, base)
        found, problems = check(model, data, lists=lists)
        assert (found is None) == bool(problems)
        for problem in problems:
            assert not any(leak in str(problem) for leak in LEAKS), (data, problem)
            assert problem.contradiction or "allowed: " in str(problem) or "unknown key" in str(problem), problem


def test_every_key_of_a_card_says_what_it_allows():
    schema = schema_of(GpuConfig)
    assert schema.allowed(("sm", "warps")) == "integer, 4 to 64, a multiple of 4"
    assert schema.allowed(("clocks", "l2_mhz")) == "number, 1 to 1000000"
    assert schema.allowed(("nowhere",)) == ""
    for path in schema.paths:
        assert schema.allowed(path), path

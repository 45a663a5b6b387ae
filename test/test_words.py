"""Class names as people write them: one plain phrase for the text tower, and lists in many layouts."""

from __future__ import annotations

import pytest

from s4token_model import prompts, word_lists, words
from s4token_model.procedural.classes import PROCEDURAL
from s4token_model.training.synonyms import SYNONYMS, TRAINED_WORDS
from s4token_model.vocabulary import read_names

BENCHMARKS = ("modelnet40", "s3dis", "scannet20", "scanobjectnn", "semantickitti", "shapenetpart")


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("Chairs", "chair"),
        (" the_floor. ", "floor"),
        ('"night-stand",', "night stand"),
        ("['chair'", "chair"),
        ("dining_tables", "dining table"),
        ("DiningTable", "dining table"),
        ("An  office\tchair;", "office chair"),
        ("boxes and shelves", "box and shelf"),
        ("chests of drawers", "chest of drawers"),
        ("boxes with books", "box with books"),
        ("two chairs", "chair"),
        ("chairs (wooden)", "chair (wooden)"),
        ("T-Shirts", "t-shirt"),
        ("TVs", "tv"),
        ("3D printers", "3d printer"),
        ("\ufeffpeople\u200b", "person"),
        ("\u202echair\u202c", "chair"),
        ("\u061cكرسي\u061c", "كرسي"),
        ("cafe\u200b\u0301 table", "café table"),
        ("«Stühle»", "stühle"),
        ("椅子", "椅子"),
        # What means something stays
        ("a", "a"),
        ("two-wheeler", "two-wheeler"),
        ("two door fridge", "two door fridge"),
        ("12 inch pipes", "12 inch pipes"),
        ("chair (office)", "chair (office)"),
        ("a {brace} and {}", "{brace} and {}"),
        ("50 % off {0}", "50 % off {0}"),
        ("iPhone", "iphone"),
        ("man's shoe", "man's shoe"),
    ],
)
def test_the_text_tower_gets_a_plain_phrase(name, phrase):
    assert words.normalized(name) == phrase
    assert words.normalized(phrase) == phrase


@pytest.mark.parametrize("name", ["chair\x1b[2J", "a\x00b", "\x9b31mtable", "lamp\x07", "cha\ud800ir"])
def test_control_characters_do_not_reach_a_terminal(name):
    with pytest.raises(ValueError, match="control character") as refused:
        words.written(name)
    assert str(refused.value).isprintable()


def test_words_of_training_and_benchmarks_stay_as_they_are():
    known = [*PROCEDURAL, *TRAINED_WORDS, *read_names("scannet20")]
    known += [name for benchmark in BENCHMARKS for name in _prompted(benchmark)]
    assert {name for name in known if words.normalized(name) != name} == {"shelves"}  # beside "shelf"
    assert "shelf" in SYNONYMS


def _prompted(benchmark):
    content = prompts._read(benchmark)[1]["words"].values()
    return [name for entry in content for name in (entry if isinstance(entry, list) else [entry])]


SINGULARS = {
    "chairs": "chair", "boxes": "box", "benches": "bench", "brushes": "brush", "dishes": "dish",
    "knives": "knife", "bookshelves": "bookshelf", "leaves": "leaf", "gloves": "glove", "valves": "valve",
    "stoves": "stove", "buses": "bus", "lenses": "lens", "mattresses": "mattress", "vases": "vase", "houses": "house",
    "canvases": "canvas", "sofas": "sofa", "cameras": "camera", "pianos": "piano", "potatoes": "potato",
    "canoes": "canoe", "horseshoes": "horseshoe", "batteries": "battery", "trolleys": "trolley", "movies": "movie",
    "ties": "tie", "women": "woman", "children": "child", "teeth": "tooth", "mice": "mouse", "cacti": "cactus",
    "taxis": "taxi", "menus": "menu", "quizzes": "quiz", "axes": "axe", "headaches": "headache", "sizes": "size",
    "tree trunks": "tree trunk", "fabrics": "fabric",
}  # fmt: skip
NO_PLURALS = (
    "glass bus gas stairs scissors iris lens canvas atlas compass chassis tennis cactus grass mattress dress press "
    "chess chaos thermos series species news clothes jeans trousers pants pliers tongs headphones binoculars campus "
    "status octopus hibiscus basis axis rhinoceros asbestos trellis abacus hourglass sunglasses electronics fortress "
    "books shoes blinds steps specimen abdomen swiss plus"
).split()


@pytest.mark.parametrize(("plural", "singular"), SINGULARS.items())
def test_plurals_turn_to_singulars(plural, singular):
    assert words.normalized(plural) == singular


@pytest.mark.parametrize("word", NO_PLURALS)
def test_words_that_only_end_in_s_stay(word):
    assert words.singular(word) == word


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Chair", "chair"),
        ("chairs", "chair"),
        ("dining_table", "dining table"),
        ("t shirt", "T-shirt"),
        ("the floor", "floor"),
        ("shoe", "shoes"),
        ("people", "person"),
        ("Cafe\u0301", "caf\u00e9"),
    ],
)
def test_spellings_of_one_word_are_a_repeat(first, second):
    assert words.repeat_key(first) == words.repeat_key(second)


@pytest.mark.parametrize(("first", "second"), [("glass", "glasses"), ("table", "dining table"), ("can", "canvas")])
def test_different_words_are_no_repeat(first, second):
    assert words.repeat_key(first) != words.repeat_key(second)


THREE = ("wall", "floor", "office chair")


@pytest.mark.parametrize(
    "text",
    [
        "wall\nfloor\noffice chair",
        "0 wall\n1 floor\n2 office chair",
        "0,wall\n1,floor\n2,office chair",
        "0: wall\n1: floor\n2: office chair",
        "0;wall\n1;floor\n2;office chair",
        "1. wall\n2. floor\n3. office chair",
        "0\twall\n1\tfloor\n2\toffice chair",
        "wall,0\nfloor,1\noffice chair,2",
        "wall: 0\nfloor: 1\noffice chair: 2",
        "0,wall,174,199,232\n1,floor,152,223,138\n2,office chair,188,189,34",
        "wall, floor, office chair",
        "wall; floor; office chair;",
        "wall, floor,\noffice chair",
        "name\nwall\nfloor\noffice chair",
        "id name\n0 wall\n1 floor\n2 office chair",
        "id,name\n0,wall\n1,floor\n2,office chair",
        "name,id\nwall,0\nfloor,1\noffice chair,2",
        '"id","class"\n"0","wall"\n"1","floor"\n"2","office chair"',
        "id\tcategory\tcount\n0\twall\t5\n1\tfloor\t4\n2\toffice chair\t3",
        "names:\n  0: wall\n  1: floor\n  2: office chair",
        "names:\n- wall\n- floor\n- office chair",
        "names: [wall, floor, office chair]",
        '["wall", "floor", "office chair"]',
        "['wall',\n 'floor',\n 'office chair']",
        "\r\nwall\r\nfloor\r\noffice chair\r\n",
        "0,wall,#aec7e8\n1,floor,#98df8a\n2,office chair,#bcbd22",
        "0,wall,\n1,floor,\n2,office chair,",
        "1|0|wall\n2|1|floor\n3|2|office chair",
    ],
)
def test_files_of_class_names_in_many_layouts(text, tmp_path):
    path = tmp_path / "classes.txt"
    for start in ("", "\ufeff"):
        path.write_bytes((start + text).encode())
        assert tuple(words.written(name) for name in read_names(str(path))) == THREE


@pytest.mark.parametrize(
    "lines", [["3d printer", "2 seater sofa"], ["table 1", "floor"], ["2 seater sofa"], ["seat 1", "seat 2"]]
)
def test_numbers_that_belong_to_names_stay(lines):
    assert word_lists.parse_lines(lines, "file") == tuple(lines)


@pytest.mark.parametrize(
    "text", ["0,wall,structure\n1,sofa,furniture", "wall\t0\tstuff\nsofa\t1\tthing", "1;wall;Wand\n2;sofa;Sofa"]
)
def test_tables_with_two_columns_of_texts_and_no_header_are_refused(text):
    with pytest.raises(ValueError, match="classes.csv is a table with 2 columns of texts; keep that of the names"):
        word_lists.parse_lines(text.split("\n"), "classes.csv")


@pytest.mark.parametrize("lines", [["id: 0", "name: wall"], ["{", '"wall": 0', "}"], ["wall,,floor"]])
def test_what_is_no_list_of_names_is_refused_by_line(lines):
    with pytest.raises(ValueError, match=r"name \d of \d in classes.json is no class name"):
        word_lists.parse_lines(lines, "classes.json")


def test_lists_on_the_command_line():
    assert word_lists.split_list("chair, office desk,") == ("chair", "office desk")
    assert word_lists.split_list("chair; red, small lamp") == ("chair", "red, small lamp")
    assert word_lists.split_list("chair,,lamp") == ("chair", "", "lamp")

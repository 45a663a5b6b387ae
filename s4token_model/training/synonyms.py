"""What people call the things of procedural scenes: synonyms, general words, plurals."""

from __future__ import annotations

# The class name first. No word stands for two classes.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "wall": ("wall", "room wall"),
    "floor": ("floor", "ground", "flooring"),
    "cabinet": ("cabinet", "cupboard", "storage cabinet"),
    "bed": ("bed",),
    "chair": ("chair",),
    "sofa": ("sofa", "couch", "settee"),
    "table": ("table",),
    "door": ("door", "doorway"),
    "window": ("window", "window pane"),
    "bookshelf": ("bookshelf", "bookcase", "book rack"),
    "picture": ("picture", "painting", "poster", "framed photo", "wall art"),
    "counter": ("counter", "countertop", "kitchen counter", "worktop"),
    "desk": ("desk", "work desk", "writing desk"),
    "curtain": ("curtain", "drapes", "drape"),
    "refrigerator": ("refrigerator", "fridge", "icebox"),
    "shower curtain": ("shower curtain", "bath curtain"),
    "toilet": ("toilet", "toilet bowl", "lavatory"),
    "sink": ("sink", "washbasin", "wash basin", "basin"),
    "bathtub": ("bathtub", "bath tub", "tub"),
    "other furniture": ("other furniture",),
    "ceiling": ("ceiling",),
    "lamp": ("lamp", "light", "light fixture"),
    "nightstand": ("nightstand", "bedside table", "night table"),
    "box": ("box", "cardboard box", "carton"),
    "plant": ("plant", "potted plant", "houseplant"),
    "television": ("television", "tv", "tv set", "flat screen tv"),
    "monitor": ("monitor", "computer monitor", "computer screen", "display"),
    "trash can": ("trash can", "trash bin", "garbage can", "waste basket", "dustbin", "rubbish bin"),
    "pillow": ("pillow", "cushion"),
    "person": ("person", "human", "human being"),
    "backpack": ("backpack", "rucksack", "knapsack"),
    "bag": ("bag", "handbag", "tote bag"),
    "stool": ("stool", "bar stool"),
    "bench": ("bench",),
    "column": ("column", "pillar"),
    "radiator": ("radiator", "heater", "wall heater"),
    "whiteboard": ("whiteboard", "white board", "dry erase board"),
    "dresser": ("dresser", "chest of drawers", "bureau"),
    "mirror": ("mirror", "looking glass"),
    "books": ("books", "stack of books", "pile of books"),
    "clothes": ("clothes", "clothing", "garments", "laundry"),
    "keyboard": ("keyboard", "computer keyboard"),
    "laptop": ("laptop", "notebook computer", "laptop computer"),
    "shelf": ("shelf", "shelves", "rack", "shelving unit"),
    "microwave": ("microwave", "microwave oven"),
    "oven": ("oven", "stove", "cooker"),
    "washing machine": ("washing machine", "washer", "laundry machine"),
    "bottle": ("bottle", "water bottle"),
    "cup": ("cup", "mug"),
    "shoes": ("shoes", "pair of shoes", "footwear"),
    "towel": ("towel", "bath towel"),
    "ottoman": ("ottoman", "footstool", "pouf"),
    "piano": ("piano", "upright piano"),
    "printer": ("printer", "copier", "office printer"),
    "fan": ("fan", "electric fan"),
    "stairs": ("stairs", "staircase", "steps", "stairway"),
    "blinds": ("blinds", "window blinds", "window shades"),
    "suitcase": ("suitcase", "luggage", "travel case"),
    "rug": ("rug", "carpet", "mat"),
    "road": ("road", "street", "roadway", "asphalt"),
    "parking": ("parking", "parking space", "parking lot"),
    "sidewalk": ("sidewalk", "pavement", "footpath", "walkway"),
    "terrain": ("terrain", "grass", "lawn", "soil"),
    "traffic island": ("traffic island", "median island"),
    "building": ("building", "house", "facade", "house front"),
    "fence": ("fence", "garden fence", "railing", "garden wall"),
    "car": ("car", "automobile", "passenger car", "van"),
    "truck": ("truck", "lorry"),
    "bus": ("bus", "coach", "city bus"),
    "trailer": ("trailer", "caravan"),
    "bicycle": ("bicycle", "bike", "push bike"),
    "motorcycle": ("motorcycle", "motorbike", "motor scooter"),
    "bicyclist": ("bicyclist", "cyclist", "bicycle rider"),
    "motorcyclist": ("motorcyclist", "motorcycle rider", "motorbike rider"),
    "vegetation": ("vegetation", "foliage", "bush", "hedge", "shrub"),
    "tree trunk": ("tree trunk", "trunk", "trunk of a tree"),
    "pole": ("pole", "post", "lamp post", "street light"),
    "traffic sign": ("traffic sign", "road sign", "street sign"),
    "traffic light": ("traffic light", "traffic signal", "stop light"),
}

# Words that captions use and that are never a class name: whoever asks for them tests whether synonyms are understood.
HELD_OUT: dict[str, tuple[str, ...]] = {
    "sofa": ("couch",),
    "refrigerator": ("fridge",),
    "bookshelf": ("bookcase",),
    "picture": ("painting", "poster"),
    "trash can": ("garbage can", "waste basket"),
    "nightstand": ("bedside table", "night table"),
    "television": ("tv",),
    "cabinet": ("cupboard",),
    "counter": ("countertop",),
    "desk": ("writing desk",),
    "bathtub": ("tub",),
    "sink": ("washbasin",),
    "lamp": ("light",),
    "dresser": ("chest of drawers",),
    "person": ("human",),
    "backpack": ("rucksack",),
    "column": ("pillar",),
    "radiator": ("heater",),
    "pillow": ("cushion",),
    "suitcase": ("luggage",),
    "rug": ("carpet",),
    "stairs": ("staircase",),
    "oven": ("stove",),
    "cup": ("mug",),
    "road": ("street",),
    "sidewalk": ("pavement",),
    "terrain": ("grass",),
    "building": ("house",),
    "car": ("automobile",),
    "truck": ("lorry",),
    "bus": ("coach",),
    "bicycle": ("bike",),
    "motorcycle": ("motorbike",),
    "bicyclist": ("cyclist",),
    "vegetation": ("foliage",),
    "pole": ("lamp post",),
    "traffic sign": ("road sign",),
}

# General words a robot's user may ask for, and the classes they cover.
HYPERNYMS: dict[str, tuple[str, ...]] = {
    "piece of furniture": (
        "cabinet", "bed", "chair", "sofa", "table", "bookshelf", "desk", "nightstand", "stool", "bench", "dresser",
        "shelf", "ottoman"
    ),
    "furniture": ("cabinet", "bed", "chair", "sofa", "table", "bookshelf", "desk", "nightstand", "dresser"),
    "seat": ("chair", "sofa", "stool", "bench", "ottoman"),
    "place to sit": ("chair", "sofa", "stool", "bench", "ottoman"),
    "appliance": ("refrigerator", "microwave", "oven", "washing machine", "fan"),
    "kitchen appliance": ("refrigerator", "microwave", "oven"),
    "storage": ("cabinet", "bookshelf", "shelf", "dresser", "nightstand"),
    "storage unit": ("cabinet", "bookshelf", "shelf", "dresser"),
    "electronic device": ("television", "monitor", "laptop", "keyboard", "printer"),
    "screen": ("television", "monitor"),
    "bathroom fixture": ("toilet", "sink", "bathtub"),
    "container": ("box", "trash can", "bag", "suitcase", "backpack"),
    "piece of luggage": ("suitcase", "backpack", "bag"),
    "wall decoration": ("picture", "mirror"),
    "window covering": ("curtain", "blinds"),
    "part of the building": ("wall", "floor", "ceiling", "column", "door", "window", "stairs"),
    "small object": ("cup", "bottle", "shoes", "keyboard", "books"),
    "surface to put things on": ("table", "desk", "counter"),
    "living thing": ("person", "plant"),
    "vehicle": ("car", "truck", "bus", "trailer", "motorcycle"),
    "motor vehicle": ("car", "truck", "bus"),
    "two-wheeler": ("bicycle", "motorcycle"),
    "other vehicle": ("bus", "trailer"),
    "other ground": ("traffic island",),
    "rider": ("bicyclist", "motorcyclist"),
    "tree": ("vegetation", "tree trunk"),
    "street furniture": ("pole", "traffic sign", "traffic light"),
    "place to drive": ("road", "parking"),
}  # fmt: skip

# Everything that captions call a thing.
CLASS_OF = {word: name for name, words in SYNONYMS.items() for word in words}
TRAINED_WORDS = (*CLASS_OF, *HYPERNYMS)

# Plural in form, so without an article; the first group has no other form.
PLURAL_ONLY = frozenset({
    "books", "clothes", "garments", "shoes", "stairs", "steps", "blinds", "window blinds", "window shades", "shelves",
    "drapes",
})  # fmt: skip
MASS = frozenset({
    "clothing", "laundry", "footwear", "flooring", "luggage", "wall art", "furniture", "storage", "other furniture",
    "ground", "other ground", "asphalt", "parking", "terrain", "grass", "soil",
    "vegetation", "foliage", "street furniture",
})  # fmt: skip
_IRREGULAR = {
    "man": "men", "woman": "women", "child": "children",
    "shelf": "shelves", "bookshelf": "bookshelves", "person": "people", "looking glass": "looking glasses",
    "stack of books": "stacks of books", "pile of books": "piles of books", "pair of shoes": "pairs of shoes",
    "chest of drawers": "chests of drawers", "piece of furniture": "pieces of furniture",
    "place to sit": "places to sit",
    "piece of luggage": "pieces of luggage", "part of the building": "parts of the building",
    "surface to put things on": "surfaces to put things on", "trunk of a tree": "trunks of trees",
    "place to drive": "places to drive",
}  # fmt: skip
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")


def plural(noun: str) -> str:
    """The plural of a noun of this file: "chair" -> "chairs", "shelf" -> "shelves", "clothes" -> "clothes"."""
    if noun in PLURAL_ONLY or noun in MASS:
        return noun
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def with_article(phrase: str, noun: str) -> str:
    """`phrase`, that ends in `noun`, with "a" or "an" where English wants one: "old chair" -> "an old chair"."""
    if noun in PLURAL_ONLY or noun in MASS:
        return phrase
    return f"an {phrase}" if phrase[0] in "aeiou" and not phrase.startswith(("uni", "use", "one")) else f"a {phrase}"


def number(count: int) -> str:
    """Small counts in words, "several" beyond six."""
    return _NUMBERS[count] if count < len(_NUMBERS) else "several"
